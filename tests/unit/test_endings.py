"""What a failed attempt leads to, by when it failed."""

import time

import pytest
from pydantic import SecretStr

from common.jobs import Record
from gpt_worker.endings import EARLY_S, Endings
from gpt_worker.failures import Failure, UpstreamFailure
from gpt_worker.outcomes import Outcome
from gpt_worker.settings import WorkerSettings

SETTINGS = WorkerSettings(
    amqp_url=SecretStr("amqp://localhost"),
    redis_url=SecretStr("redis://localhost"),
    mongo_url=SecretStr("mongodb://localhost"),
    openai_api_key=(SecretStr("sk-test"),),
    retry_delay_s=10,
)


@pytest.mark.parametrize(
    ("left_s", "outcome"),
    [
        (-1, Outcome.DEADLINE_EXCEEDED),
        (EARLY_S / 2, Outcome.DEADLINE_EXCEEDED),
        (2, Outcome.FAILED),
        (60, Outcome.TRANSIENT),
    ],
)
def test_a_call_that_is_cut_at_the_deadline_has_exceeded_it(
    monkeypatch: pytest.MonkeyPatch, left_s: float, outcome: Outcome
) -> None:
    now = time.time()
    started = Record.queued("a-job", now, now + 100).started(1, "a-model")
    monkeypatch.setattr(time, "time", lambda: started.deadline_at - left_s)
    assert Endings(SETTINGS).failed(started, UpstreamFailure(Failure.TIMEOUT)).outcome is outcome
