"""The client: one method for each thing that can be done with a job."""

import re
import time
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Self, Unpack

import aiohttp
from yarl import URL

from gpt_jobs.errors import JobFailed, Unreachable
from gpt_jobs.events import Event
from gpt_jobs.following import HOLD_S, follow
from gpt_jobs.jobs import Job
from gpt_jobs.submissions import Submission, body_of, id_of, key_of
from gpt_jobs.transport import Transport

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class GptJobs:
    """Asks a model through gpt-jobs.

        async with GptJobs("http://127.0.0.1:8080", results_url="http://127.0.0.1:8081") as jobs:
            job = await jobs.ask("Why is the sky blue?")
            print(job.text)

    What the service says may succeed later (429, 503 and the like), and what did not reach it, is tried again,
    for at most `patience_s` seconds on end; a submission has a key, so that it is one job all the same.
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
        """`results_url`: where results are read, if that is another address than `url`."""
        self._jobs = _address(url) / "v1/jobs"
        self._results = _address(results_url or url) / "v1/results"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Any number of streams may be open at once.
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def submit(self, prompt: str | None = None, **submission: Unpack[Submission]) -> Job:
        """Hand in a prompt: `prompt`, `messages=`, or `template=` with `inputs=`; see `Submission` for the rest."""
        headers = {"Idempotency-Key": key_of(submission)}
        body = body_of(prompt, submission)
        return _job(await self._transport.request("POST", self._jobs, body=body, headers=headers))

    async def result(self, job: Job | str, wait_s: float | None = 0) -> Job:
        """The job as it is when it is terminal, or after `wait_s` seconds; None waits for as long as it takes."""
        url = self._result(job)
        until = None if wait_s is None else time.monotonic() + wait_s
        while True:
            hold_s = HOLD_S if until is None else max(0.0, min(HOLD_S, until - time.monotonic()))
            asked_at = time.monotonic()
            found = _job(await self._transport.request("GET", url % {"wait": f"{hold_s:g}"}, hold_s=hold_s))
            if found.is_terminal or (until is not None and time.monotonic() >= until):
                return found
            if time.monotonic() - asked_at < hold_s / 2:
                # A server that stops answers what it holds at once: not all may ask again in the same moment.
                await self._transport.retries().pause(Unreachable("the server stops"))

    async def ask(self, prompt: str | None = None, **submission: Unpack[Submission]) -> Job:
        """Submit and wait for the answer, which is `.text`; raises JobFailed if there will be none.

        With `parent=` an earlier job, this continues its conversation.
        """
        job = await self.result(await self.submit(prompt, **submission), wait_s=None)
        if job.status != "completed":
            raise JobFailed(job)
        return job

    def stream(self, job: Job | str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """What happens to the job, as it happens: `Waiting`, `Started`, `Delta` and at last `Ended`.

        Goes on by itself where the connection drops. `after` is the number of the last event that you have.
        Raises GptJobsError if the job is not there or the service stays away; a job that failed is an event.
        """
        return follow(self._transport, self._result(job), after)

    async def cancel(self, job: Job | str) -> Job:
        """The job does not begin, or its attempt is broken off; one that has ended stays as it is."""
        return _job(await self._transport.request("POST", self._job_url(job) / "cancel"))

    async def delete(self, job: Job | str) -> None:
        """Erase prompt and answer everywhere, at once."""
        await self._transport.request("DELETE", self._job_url(job))

    @property
    def _transport(self) -> Transport:
        if self._session is None:
            raise RuntimeError("use it as a context manager: async with GptJobs(…) as jobs")
        return Transport(self._session, self._timeout_s, self._patience_s)

    def _job_url(self, job: Job | str) -> URL:
        return self._jobs / _checked(id_of(job))

    def _result(self, job: Job | str) -> URL:
        return self._results / _checked(id_of(job))


def _address(url: str) -> URL:
    address = URL(url.rstrip("/"))
    if address.scheme not in {"http", "https"} or not address.host:
        raise ValueError(f"{url!r} is no address that begins with http:// or https://")
    return address


def _checked(job_id: str) -> str:
    if not _ID.fullmatch(job_id) or not job_id.strip("."):
        raise ValueError(f"{job_id!r} is no id of a job")
    return job_id


def _job(record: dict[str, Any]) -> Job:
    try:
        return Job.read(record)
    except (KeyError, TypeError, ValueError) as problem:
        raise Unreachable("what answered is no record of a job", retryable=False) from problem
