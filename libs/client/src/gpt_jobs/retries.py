"""How long and how often something is tried again."""

import asyncio
import random
import time

from gpt_jobs.errors import GptJobsError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0


class Retries:
    """The pauses of one piece of work: as the service says, else longer each time; never beyond `patience_s`."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self.begin()

    def begin(self) -> None:
        """Be as patient again as at first: something went well."""
        self._until = time.monotonic() + self._patience_s
        self._pause_s = FIRST_PAUSE_S

    async def pause(self, error: GptJobsError) -> None:
        """Return when it is time to try again; raises the error if that is of no use, or would take too long."""
        pause_s = error.retry_after_s
        if pause_s is None:
            pause_s = self._pause_s * random.uniform(0.5, 1)  # noqa: S311 (only so that clients do not march in step)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if not error.retryable or time.monotonic() + pause_s > self._until:
            raise error
        await asyncio.sleep(pause_s)
