"""The clients: they submit, publish and poll while faults happen, and tell everything to the ledger."""

import asyncio
import contextlib
import itertools
import math
import random
import secrets
import time
from collections.abc import Coroutine
from typing import Any, Self

import aiohttp
from aiohttp import ClientSession, TCPConnector
from yarl import URL

from common.ids import JobIds
from tests.deployment import JOB_ID_KEY
from tests.faults import streams
from tests.faults.fleet import Fleet
from tests.faults.ledger import Job, Ledger
from tests.faults.publisher import Publisher
from tests.faults.upstream import FATES, PERMANENT, TRANSIENT
from tests.faults.verdict import Problem, Verdict
from tests.waiting import eventually

#: Nothing may take longer than this, whatever is away, beyond what a poll has asked to wait.
PATIENCE_S = 10.0
#: How many of the jobs are followed by a stream too.
STREAMED = 0.25
#: The share of jobs that their clients cancel.
CANCELLED = 0.1
#: Polls at once.
POLLERS = 60


class Clients:
    """Any number of clients with one ledger; what they do at random, they do by the seed."""

    def __init__(self, fleet: Fleet, ledger: Ledger, seed: int = 0) -> None:
        self.fleet = fleet
        self.ledger = ledger
        self.random = random.Random(seed)
        #: For the faults alone: nothing that depends on the time draws from it.
        self.dice = random.Random(seed)
        self._publisher = Publisher(fleet.place)
        self._ids = JobIds([JOB_ID_KEY])
        self._tag = secrets.token_hex(3)
        self._numbers = itertools.count(1)
        self._pollers = asyncio.Semaphore(POLLERS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []

    async def __aenter__(self) -> Self:
        # A connection for each request, as from many clients: none breaks for reasons of another request.
        self._http = ClientSession(connector=TCPConnector(limit=0, force_close=True))
        self.fleet.on_lost_hands = self.ledger.lost_hands
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()
        await self._publisher.aclose()
        if self._broken:
            raise self._broken[0]

    def submit_at(self, per_second: float, jobs: int | None = None) -> asyncio.Task[None]:
        """Submit a mixture of jobs at that rate, through all doors, until cancelled or so many are accepted."""
        return self._go(self._submit_at(per_second, jobs))

    async def submit_mixed(self) -> None:
        """One job of any kind, by any door; some are cancelled on the way."""
        fate = self._fate()
        if self.random.random() < 0.3:
            job = await self.publish(fate, foreign=self.random.random() < 0.5)
        else:
            job = await self.submit(fate)
        if self.random.random() < CANCELLED:
            job.patience = self.random.randrange(6)

    async def submit(self, fate: str = "fine", **fields: Any) -> Job:
        """Submit one job over HTTP, and follow it if it is accepted."""
        job = self.ledger.submitting(self._prompt(fate), "http")
        body = {"msg": job.prompt, "options": FATES[fate].options, **fields}
        url = self.random.choice(self.fleet.gateways).url / "v1/jobs"
        answer = await self._ask(job, "submission", "POST", url, json=body)
        if answer is not None:
            self.ledger.answered(job, *answer[:2], answer[3])
            self._follow_if_accepted(job)
        return job

    async def publish(self, fate: str = "fine", *, foreign: bool = True) -> Job:
        """Publish one job to the broker, with an id of our own or a minted one."""
        job = self.ledger.submitting(self._prompt(fate), "broker")
        job.id = f"pub-{job.prompt.replace('/', '-')}" if foreign else self._ids.mint()
        body = {"id": job.id, "msg": job.prompt, "options": FATES[fate].options}
        confirmed = await self._publisher.publish(body, message_id=job.id)
        self.ledger.confirmed(job, by_the_broker=confirmed)
        self._follow_if_accepted(job)
        return job

    async def publish_raw(self, body: bytes, **properties: Any) -> bool:
        """Publish anything at all."""
        return await self._publisher.publish(body, **properties)

    async def delete_job_queue(self) -> None:
        """Take away the queue under everybody's feet."""
        await self._publisher.delete_job_queue()
        self.ledger.queue_deleted()

    async def until_accepted(self, jobs: int) -> None:
        """Return when so many jobs are accepted."""
        await eventually(lambda: self.ledger.accepted_count >= jobs, timeout_s=30)

    def verdict(self) -> Verdict:
        """The ledger's account, and how the services have ended that did."""
        verdict = self.ledger.verdict()
        verdict.problems.extend(Problem("processes", end) for end in self.fleet.bad_ends)
        return verdict

    async def settled(self, within_s: float, submitted_before: float = math.inf) -> float | None:
        """Seconds until all that is promised is terminal (of what was submitted before that time); None if late."""
        began = time.time()
        await asyncio.sleep(0)  # a submission may just be beginning
        try:
            await eventually(lambda: self.ledger.is_settled(submitted_before), timeout_s=within_s)
        except AssertionError:
            return None
        return time.time() - began

    async def probe(self, within_s: float) -> float | None:
        """Seconds until a job is accepted, tried again and again, and completed; None if that takes longer."""
        began = time.time()
        while time.time() - began < within_s:
            job = await self.submit()
            if job.accepted_at is None:
                await asyncio.sleep(0.5)
                continue
            with contextlib.suppress(AssertionError):
                await eventually(lambda: job.terminal is not None, timeout_s=began + within_s - time.time())  # noqa: B023
                return time.time() - began
        return None

    async def audit(self) -> None:
        """Poll every terminal job once more on every reader: it must read as it always did."""
        ended = [job for job in self.ledger.jobs.values() if job.terminal is not None]
        await asyncio.gather(
            *(self._poll(job, 0, reader=reader.url) for job in ended for reader in self.fleet.readers)
        )

    async def _submit_at(self, per_second: float, jobs: int | None) -> None:
        began, submitted = time.monotonic(), 0
        while jobs is None or self.ledger.accepted_count < jobs:
            self._go(self.submit_mixed())
            submitted += 1
            due = began + submitted / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _follow_if_accepted(self, job: Job) -> None:
        if job.is_open:
            self._go(self._follow(job))
            if self.random.random() < STREAMED:
                self._go(streams.follow(self._http, self.fleet.readers, self.ledger, job, self.random))

    async def _follow(self, job: Job) -> None:
        """Poll a job to its end, and then now and again."""
        pause = 0.2
        while job.terminal is None:
            await asyncio.sleep(self.random.uniform(0.5, 1) * pause)
            if job.patience <= 0:
                await self._cancel(job)
            job.patience -= 1
            pause = min(2.0, pause * 1.3)
            await self._poll(job, self.random.choice((0, 0, 3)))
        for pause in (1, 3, 10, 30, 100, 300):
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * pause)
            if job.terminal is not None:
                await self._poll(job, 0)

    async def _cancel(self, job: Job) -> None:
        """Once, and then at every look, as long as the job has not ended."""
        job.cancel_asked = True
        url = self.random.choice(self.fleet.gateways).url / f"v1/jobs/{job.id}/cancel"
        answer = await self._ask(job, "cancel", "POST", url)
        if answer is not None:
            status, _, raw, retry_after = answer
            self.ledger.cancel_answered(job, status, raw, retry_after)

    async def _poll(self, job: Job, wait: int, reader: URL | None = None) -> None:
        url = (reader or self.random.choice(self.fleet.readers).url) / f"v1/results/{job.id}" % {"wait": wait}
        async with self._pollers:
            answer = await self._ask(job, "poll", "GET", url, wait=wait)
        if answer is not None:
            status, _, raw, retry_after = answer
            self.ledger.polled(job, status, raw, retry_after)

    async def _ask(
        self, job: Job, asked: str, method: str, url: URL, wait: int = 0, **request: Any
    ) -> tuple[int, Any, bytes, str | None] | None:
        """Status, body, raw body and Retry-After; None if there was no answer."""
        try:
            async with (
                asyncio.timeout(wait + PATIENCE_S),
                self._http.request(method, url, **request) as response,
            ):
                raw = await response.read()
                return response.status, await response.json(), raw, response.headers.get("Retry-After")
        except aiohttp.ClientConnectorError:
            self.ledger.no_answer(job, "refused", asked=asked)
        except TimeoutError:
            self.ledger.no_answer(job, "hanging", asked=asked)
        except (aiohttp.ClientError, OSError):
            self.ledger.no_answer(job, "dropped", asked=asked)
        return None

    def _fate(self) -> str:
        dice = self.random.random()
        return "fine" if dice < 0.75 else self.random.choice(TRANSIENT if dice < 0.92 else PERMANENT)

    def _prompt(self, fate: str) -> str:
        return f"{fate}/{self._tag}-{next(self._numbers)}"

    def _go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._broken.append(error)
