"""How many requests it takes until a client has its answer: waiting at the reader, and asking again and again."""

import asyncio
from statistics import fmean

import aiohttp

from bench import asking
from bench.figures import Figure, Findings, at_most
from bench.fleet import Fleet, Model, WrongAnswersError, result_url
from bench.model import ANSWER
from bench.rig import Rig

CLIENTS = 200
#: Seconds: of a job, of a wait, between two polls of the article's mini-program.
JOB_S, WAIT_S, POLL_S = 30.0, 25.0, 2.0
#: All of them shorter by so much, which leaves the counts as they are.
SHORTER_WHEN_QUICK = 5
MOST_REQUESTS = 2
PATIENCE_S = 120


async def run(rig: Rig) -> Findings:
    """Once only: it counts. Half of the clients wait, half of them poll."""
    shorter = SHORTER_WHEN_QUICK if rig.is_quick else 1
    job_s, wait_s, poll_s = JOB_S / shorter, WAIT_S / shorter, POLL_S / shorter
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        model = Model.on(rig, http)
        fleet = Fleet(rig, http, model, PREFETCH=str(2 * CLIENTS))
        gateway, reader = fleet.gateway(), fleet.reader()
        fleet.worker()
        jobs = await fleet.submit(gateway, (f"after {job_s} s: {number}" for number in range(2 * CLIENTS)))
        urls = [result_url(reader, job_id) for job_id in jobs]
        async with asyncio.timeout(job_s + PATIENCE_S):
            answers = await asyncio.gather(
                *(asking.wait(http, url, wait_s) for url in urls[:CLIENTS]),
                *(asking.poll(http, url, poll_s) for url in urls[CLIENTS:]),
            )
    for prompt, answer in zip(jobs.values(), answers, strict=True):
        if answer.text != ANSWER + prompt:
            raise WrongAnswersError(f"{answer.text!r} for {prompt!r}")
    path = f"requests for each answer of a job of {job_s:g} s"
    waited = fmean(answer.requests for answer in answers[:CLIENTS])
    polled = fmean(answer.requests for answer in answers[CLIENTS:])
    figures = (
        Figure(path, f"gpt-jobs, wait={wait_s:g}", "requests", (waited,)),
        Figure(path, f"polling every {poll_s:g} s", "requests", (polled,)),
    )
    return Findings(figures, (at_most(path, MOST_REQUESTS, "requests", waited),))
