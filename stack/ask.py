"""`make ask`: submit a prompt, show where it stands and the text as it is written. Ctrl-C cancels the job."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping

from gpt_jobs import Delta, Ended, GptJobs, GptJobsError, Job, JobFailed, Started, Unreachable, Waiting
from stack.answer_screen import AnswerScreen

#: Seconds between two looks at the place of a job that waits.
LOOK_S = 2.0
#: Seconds for which an interrupted `ask` tries to cancel its job.
CANCEL_S = 10.0
#: Seconds for which it tries to reach a service that is not there, which may just be restarted.
PATIENCE_S = 5.0
INTERRUPTED = 130  # as a shell has it for SIGINT


def ask(msg: str, environ: Mapping[str, str]) -> int:
    """The exit status: 0 with the answer printed, 1 with the reason on standard error."""
    gateway = _address(environ, "GATEWAY_URL", "GATEWAY_PORT", 8080)
    reader = _address(environ, "READER_URL", "READER_PORT", 8081)
    try:
        jobs = GptJobs(gateway, results_url=reader, api_key=environ.get("API_KEY") or None, patience_s=PATIENCE_S)
        asyncio.run(_ask(jobs, msg))
    except Unreachable as problem:
        print(f"{problem.message}. Is `make run` running?", file=sys.stderr)
    except (GptJobsError, ValueError) as problem:
        print(problem, file=sys.stderr)
    except KeyboardInterrupt:
        return INTERRUPTED
    else:
        return 0
    return 1


def _address(environ: Mapping[str, str], url: str, port: str, default_port: int) -> str:
    return environ.get(url) or f"http://127.0.0.1:{environ.get(port) or default_port}"


async def _ask(client: GptJobs, msg: str) -> None:
    """Print the answer; raises GptJobsError. Cancelled, as Ctrl-C does, it has the job cancelled too."""
    async with client as jobs:
        with AnswerScreen() as screen:
            job = await jobs.submit(msg)
            looking = asyncio.create_task(_look(jobs, job, screen))
            try:
                ended = await _follow(jobs, job, screen)
            except asyncio.CancelledError:
                await _cancel(jobs, job, screen)
                raise
            finally:
                looking.cancel()
            if ended.status != "completed":
                raise JobFailed(ended)
            screen.complete(ended.text)


async def _follow(jobs: GptJobs, job: Job, screen: AnswerScreen) -> Job:
    async for event in jobs.stream(job):
        match event:
            case Waiting(queue=place):
                screen.waits(place)
            case Started(attempt=attempt):
                screen.begins(attempt)
            case Delta(text=text):
                screen.add(text)
            case Ended(job=ended):
                return ended
    raise AssertionError("a stream ends with the job")


async def _look(jobs: GptJobs, job: Job, screen: AnswerScreen) -> None:
    """Follow the job's place, which moves without an event, for as long as it waits."""
    while True:
        await asyncio.sleep(LOOK_S)
        with contextlib.suppress(GptJobsError):
            if (job := await jobs.result(job)).status != "queued":
                return
            screen.waits(job.queue)


async def _cancel(jobs: GptJobs, job: Job, screen: AnswerScreen) -> None:
    screen.status = "cancelling"
    try:
        async with asyncio.timeout(CANCEL_S):
            job = await jobs.cancel(job)
    except (GptJobsError, TimeoutError) as problem:
        screen.say(f"Not cancelled, it goes on ({str(problem) or 'no answer'}): {job.id}")
    else:
        screen.say(f"It is {job.status}." if job.is_terminal else "It is being cancelled.")
