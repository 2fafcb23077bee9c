"""Gets a job's answer, and tells it while it comes."""

import time

from common.cache import Cache
from common.jobs import Record
from gpt_worker.answers import Answer
from gpt_worker.cancelling import Unwanted, Wish
from gpt_worker.completion import Completion
from gpt_worker.reading import Job
from gpt_worker.settings import WorkerSettings
from gpt_worker.writing import Writing


class Answering:
    """One call of the model for each attempt."""

    def __init__(self, settings: WorkerSettings, cache: Cache, completion: Completion) -> None:
        self._streaming = settings.streaming
        self._cache = cache
        self._completion = completion

    async def answer(self, job: Job, started: Record, model: str, timeout_s: float, wish: Wish) -> Answer:
        """The model's answer within `timeout_s` seconds; raises UpstreamFailure, Unwanted."""
        if not self._streaming or job.options.stream is False:
            async with wish:
                return await self._completion.answer(job.prompt, model, job.options, timeout_s)
        writing = Writing(self._cache, job.id, started.attempt, started.expires_at - time.time())
        try:
            async with wish:
                return await self._completion.answer(job.prompt, model, job.options, timeout_s, writing.add)
        except Unwanted as unwanted:
            unwanted.text_so_far = writing.text or None
            raise
        finally:
            await writing.end()
