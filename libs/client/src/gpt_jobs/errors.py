"""What can go wrong, as exceptions: the service said no, the job came to nothing, or nobody answered."""

from gpt_jobs.jobs import Job, JobError


class GptJobsError(Exception):
    """The base of all of them; each has a `code` for programs and a `message` for people."""

    #: Seconds after which it is worth trying again, where the service says so.
    retry_after_s: float | None = None

    def __init__(self, error: JobError) -> None:
        self.code = error.code
        self.message = error.message
        self.param = error.param
        self.retryable = error.retryable
        self.request_id = error.request_id
        about = f" (in {error.param})" if error.param else ""
        super().__init__(f"{error.code}: {error.message}{about}")


class ApiError(GptJobsError):
    """The service answered with an error; if it is retryable, it stayed so for as long as was tried."""

    def __init__(self, error: JobError, http_status: int, retry_after_s: float | None = None) -> None:
        super().__init__(error)
        self.http_status = http_status
        self.retry_after_s = retry_after_s


class JobFailed(GptJobsError):
    """The job is failed or cancelled; `job` is its record, with what had been written."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.error or JobError(job.status, "There is no answer."))
        self.job = job


class Unreachable(GptJobsError):
    """Nothing of ours answered: no connection, silence, or something else at this address."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(JobError("unreachable", message, retryable=retryable))
