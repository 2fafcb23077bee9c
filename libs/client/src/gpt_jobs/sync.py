"""The same client for programs without an event loop: one runs in a thread, and every call is made there."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from gpt_jobs import client
from gpt_jobs.events import Event
from gpt_jobs.jobs import Job
from gpt_jobs.submissions import Submission

T = TypeVar("T")


class GptJobs:
    """`gpt_jobs.GptJobs` without `await`: same arguments, same methods, same errors.

    with GptJobs("http://127.0.0.1:8080", results_url="http://127.0.0.1:8081") as jobs:
        print(jobs.ask("Why is the sky blue?").text)
    """

    def __init__(
        self,
        url: str,
        *,
        results_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 30,
        patience_s: float = 60,
    ) -> None:
        self._client = client.GptJobs(
            url, results_url=results_url, api_key=api_key, timeout_s=timeout_s, patience_s=patience_s
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gpt-jobs", daemon=True)
        self._thread.start()
        self._call(self._client.__aenter__())
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        loop, self._loop = self._running, None
        for work in (loop.shutdown_asyncgens(), self._client.__aexit__(None, None, None)):
            asyncio.run_coroutine_threadsafe(work, loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def submit(self, prompt: str | None = None, **submission: Unpack[Submission]) -> Job:
        """As `gpt_jobs.GptJobs.submit`."""
        return self._call(self._client.submit(prompt, **submission))

    def result(self, job: Job | str, wait_s: float | None = 0) -> Job:
        """As `gpt_jobs.GptJobs.result`."""
        return self._call(self._client.result(job, wait_s))

    def ask(self, prompt: str | None = None, **submission: Unpack[Submission]) -> Job:
        """As `gpt_jobs.GptJobs.ask`."""
        return self._call(self._client.ask(prompt, **submission))

    def stream(self, job: Job | str, *, after: int = 0) -> Iterator[Event]:
        """As `gpt_jobs.GptJobs.stream`."""
        events = self._client.stream(job, after=after)
        try:
            while (event := self._call(_next(events))) is not None:
                yield event
        finally:
            if self._loop is not None:  # left behind, it is closed with the client
                self._call(_close(events))

    def cancel(self, job: Job | str) -> Job:
        """As `gpt_jobs.GptJobs.cancel`."""
        return self._call(self._client.cancel(job))

    def delete(self, job: Job | str) -> None:
        """As `gpt_jobs.GptJobs.delete`."""
        self._call(self._client.delete(job))

    @property
    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("use it as a context manager: with GptJobs(…) as jobs")
        return self._loop

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._running)
        except RuntimeError:
            work.close()
            raise
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C arrives here, and what nobody waits for must not go on
            raise


async def _next(events: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(events, None)


async def _close(events: AsyncGenerator[Event, None]) -> None:
    await events.aclose()
