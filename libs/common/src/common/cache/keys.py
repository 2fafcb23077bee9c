"""The names in Redis."""


class Keys:
    """All keys and channels, under one prefix; what is kept there stands in records.py."""

    def __init__(self, prefix: str) -> None:
        self.jobs = f"{prefix}job:"
        self.workers = f"{prefix}worker:"
        self.waiting = f"{prefix}waiting"
        self.running = f"{prefix}running"
        self.horizon = f"{prefix}horizon"
        self.finished = f"{prefix}finished"
        self.cancelled = f"{prefix}cancelled"
        self.texts = f"{prefix}text:"
        self.once = f"{prefix}once:"
        self.places = f"{prefix}places"
        self.fleet = f"{prefix}fleet"
        self.pace = f"{prefix}pace"

    def job(self, job_id: str) -> str:
        return self.jobs + job_id

    def text(self, job_id: str, attempt: int) -> str:
        return f"{self.texts}{job_id}:{attempt}"

    def worker(self, name: str) -> str:
        return self.workers + name
