"""An operation that must not be given up."""

import asyncio

import pytest

from common.errors import BrokerUnavailable, CacheUnavailable, ErrorCode, ServiceError, StoreUnavailable
from gpt_worker import keep_trying as module
from gpt_worker.keep_trying import keep_trying
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.002)


class Server:
    """Fails with each of the errors in turn, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.tries = 0

    async def ask(self) -> str:
        self.tries += 1
        if self._errors:
            raise self._errors.pop(0)
        return "an answer"


async def test_what_succeeds_is_tried_once() -> None:
    server = Server()
    assert (await keep_trying(server.ask), server.tries) == ("an answer", 1)


async def test_it_goes_on_while_any_server_is_away() -> None:
    server = Server(*[BrokerUnavailable(), CacheUnavailable(), StoreUnavailable()] * 5)
    assert (await keep_trying(server.ask), server.tries) == ("an answer", 16)


async def test_a_plain_function_that_gives_an_awaitable_will_do() -> None:
    server = Server(CacheUnavailable())
    assert await keep_trying(lambda: server.ask()) == "an answer"  # noqa: PLW0108 (a lambda is the point)


@pytest.mark.parametrize("error", [ValueError("no"), ServiceError(ErrorCode.JOB_NOT_FOUND)])
async def test_any_other_error_is_not_for_us_to_mend(error: Exception) -> None:
    server = Server(error)
    with pytest.raises(type(error)):
        await keep_trying(server.ask)
    assert server.tries == 1


async def test_it_ends_early_only_by_being_cancelled() -> None:
    server = Server(*[CacheUnavailable()] * 1_000_000)
    task = asyncio.create_task(keep_trying(server.ask))
    await eventually(lambda: server.tries >= 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
