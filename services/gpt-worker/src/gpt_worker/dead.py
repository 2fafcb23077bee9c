"""Dead letters from the command line: `python -m gpt_worker dead list | show | replay | purge`.

Safe beside running workers. Takes from the environment what it needs: AMQP_URL; to replay, also REDIS_URL and
MONGO_URL. Exits with 0, with 1 if something could not be done, with 2 if it was called wrongly.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from common.broker import MOST_IN_HAND, Inspection, Occupied, inspecting
from common.cache import Cache
from common.errors import BrokerUnavailable, CacheUnavailable, StoreUnavailable
from common.lifecycle import CannotStart
from common.settings import BrokerSettings, load
from common.store import Store
from gpt_worker.dead_letters import DeadLetter, Selection
from gpt_worker.dead_output import as_json, as_table, full, only_ours, say, tell
from gpt_worker.replay import Replay, ReplaySettings, Verdict

PROGRAM = "gpt-worker dead"

#: Seconds that a command waits for another one that has the dead letters in hand.
PATIENCE_S = 60


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    settings = load(ReplaySettings if options.command == "replay" else BrokerSettings, PROGRAM)
    only_ours()
    try:
        return asyncio.run(_command(options, settings))
    except CannotStart as error:
        tell(f"{PROGRAM}: {error}")
    except BrokerUnavailable:
        tell(f"{PROGRAM}: RabbitMQ (AMQP_URL) does not answer, or refuses")
    except CacheUnavailable:
        tell(f"{PROGRAM}: Redis (REDIS_URL) does not answer")
    except StoreUnavailable:
        tell(f"{PROGRAM}: MongoDB (MONGO_URL) does not answer")
    except KeyboardInterrupt:
        tell(f"{PROGRAM}: interrupted")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gpt_worker", description="Without arguments: start a worker.")
    dead = parser.add_subparsers(required=True, metavar="dead").add_parser("dead", help="look after dead letters")
    commands = dead.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="what lies there, and why")
    listing.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("show", help="a message as it is, prompt included").add_argument("ids", nargs=1, metavar="ID")
    replaying = commands.add_parser("replay", help="put messages back onto the job queue")
    purging = commands.add_parser("purge", help="remove messages for good: all, if it is not said which")
    purging.add_argument("--yes", action="store_true", help="do not ask")
    for command, required in ((replaying, True), (purging, False)):
        which = command.add_mutually_exclusive_group(required=required)
        which.add_argument("ids", nargs="*", default=[], metavar="ID")
        which.add_argument("--code", help="those with this error code")
        which.add_argument("--all", action="store_true")
    return parser


async def _command(options: argparse.Namespace, settings: BrokerSettings) -> int:
    selection = Selection(frozenset(getattr(options, "ids", ())), getattr(options, "code", None))
    if options.command == "purge" and not options.yes and not _is_wanted(selection):
        return 1
    async with _inspection(settings) as inspection:
        if isinstance(settings, ReplaySettings):
            return await _replay(settings, inspection, selection)
        if options.command == "purge":
            return await _purge(inspection, selection)
        if options.command == "show":
            return await _show(inspection, selection)
        return await _list(inspection, f"{settings.amqp_queue}.dead", json=options.json)


@asynccontextmanager
async def _inspection(settings: BrokerSettings) -> AsyncIterator[Inspection]:
    """The dead letters, as soon as nobody else has them in hand."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            async with inspecting(settings, PROGRAM) as inspection:
                yield inspection
                return
        except Occupied as error:
            if time.monotonic() >= deadline:
                raise CannotStart("another command has the dead letters in hand") from error
            await asyncio.sleep(0.2)


async def _list(inspection: Inspection, queue: str, *, json: bool) -> int:
    summaries = [DeadLetter(delivery).summary() async for delivery in inspection.deliveries()]
    more = await inspection.ready() if len(summaries) == MOST_IN_HAND else 0
    say(as_json(queue, summaries, more) if json else as_table(queue, summaries, more))
    return 0


async def _show(inspection: Inspection, selection: Selection) -> int:
    found = set()
    async for letter in _selected(inspection, selection):
        found.add(letter.id)
        say(full(letter))
    return _complain(selection.ids - found)


async def _replay(settings: ReplaySettings, inspection: Inspection, selection: Selection) -> int:
    found, replayed = set(), 0
    async with aclosing(Cache(settings)) as cache, aclosing(Store(settings)) as store:
        replay = Replay(settings, inspection, cache, store)
        async for letter in _selected(inspection, selection):
            verdict = await replay.replay(letter)
            say(f"{letter.id}  {verdict}")
            found.add(letter.id)
            replayed += verdict is Verdict.REPLAYED
    say(f"{replayed} replayed")
    return _complain(selection.ids - found)


async def _purge(inspection: Inspection, selection: Selection) -> int:
    found, purged = set(), 0
    async for letter in _selected(inspection, selection):
        await inspection.take_out(letter.delivery)
        found.add(letter.id)
        purged += 1
    say(f"{purged} purged")
    return _complain(selection.ids - found)


async def _selected(inspection: Inspection, selection: Selection) -> AsyncIterator[DeadLetter]:
    passed_over = 0
    async for delivery in inspection.deliveries():
        letter = DeadLetter(delivery)
        if letter in selection:
            yield letter
        else:
            passed_over += 1
    if passed_over == MOST_IN_HAND:
        tell(f"{PROGRAM}: there are more than {MOST_IN_HAND} others in front, and behind those nobody has looked")


def _is_wanted(selection: Selection) -> bool:
    """Ask whoever sits there; where there is no terminal, nobody does."""
    if not sys.stdin.isatty():
        return True
    tell(f"Remove for good: {selection}? [y/N]")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _complain(missing: frozenset[str]) -> int:
    for letter_id in sorted(missing):
        tell(f"{PROGRAM}: there is no dead letter {letter_id}")
    return 1 if missing else 0
