"""Jobs that somebody wants cancelled, or has deleted.

Of `job:<id>` (records.py): `cancel` is there once somebody has asked for that, and stays when the job has ended;
`deleted` beside a terminal rank and no record is all that is left of a deleted job.
Channel `cancelled`: the ids of both, for the worker that may have the job in its hands.
"""

import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from enum import Enum

from common.cache.announcements import Announcements
from common.cache.cancel_scripts import CANCEL, ERASE, UNWANTED
from common.cache.commands import Commands
from common.cache.keys import Keys
from common.cache.leases import milliseconds
from common.jobs import EncodedRecord, Record


class Answer(Enum):
    """What came of the wish that a job be cancelled."""

    #: It had ended before.
    ENDED = "ended"
    #: Nobody had it in hand, and it is cancelled now.
    CANCELLED = "cancelled"
    #: Nobody had it in hand, but its record is another one than was known.
    CHANGED = "changed"
    #: Whoever has it in hand, or takes it next, will end it.
    ASKED = "asked"


@dataclass(frozen=True)
class Cancelled:
    """The answer, and the job's record, which may be gone or never have been."""

    answer: Answer
    record: EncodedRecord | None


class Cancels:
    """Wishes to end jobs: the client's side, and the side of the workers, who hear of them."""

    def __init__(self, commands: Commands, keys: Keys, announcements: Announcements) -> None:
        self._commands = commands
        self._keys = keys
        self._announcements = announcements

    async def cancel(self, known: bytes, cancelled: Record) -> Cancelled:
        """Replace the `known` record by the `cancelled` one if nobody has the job in hand; else pass the wish on.

        The cache keeps either for as long as the cancelled record can be read.
        """
        names, ttl = self._keys, milliseconds(cancelled.expires_at - time.time())
        what, record = await CANCEL.run(
            self._commands,
            [
                *(names.job(cancelled.id), names.waiting, names.running),
                names.text(cancelled.id, cancelled.attempt),
            ],
            *(known, cancelled.encode(), ttl, names.finished, names.cancelled, cancelled.id, ttl),
        )
        answer = Answer(what.decode())
        has_ended = answer in (Answer.ENDED, Answer.CANCELLED)
        return Cancelled(answer, EncodedRecord(record, has_ended) if record else None)

    async def erase(self, job_id: str, ttl_s: float, attempts: int = 0) -> None:
        """Keep nothing of the job but that it was deleted, for `ttl_s` seconds; its worker lets go of it.

        `attempts` is how many there were, for one who knows that better than the cache may.
        """
        names = self._keys
        await ERASE.run(
            self._commands,
            [names.job(job_id), names.waiting, names.running],
            *(milliseconds(ttl_s), names.finished, names.cancelled, job_id, names.texts, attempts),
        )

    async def unwanted(self, job_ids: Collection[str]) -> list[str]:
        """Those of the jobs that somebody wants cancelled or has deleted."""
        if not job_ids:
            return []
        found: list[bytes] = await UNWANTED.run(self._commands, [], self._keys.jobs, *job_ids)
        return [job_id.decode() for job_id in found]

    def words(self) -> AsyncIterator[str | None]:
        """The ids of jobs as somebody wants them cancelled or deletes them; None once when listening begins.

        Raises CacheUnavailable when the subscription is lost; whoever listens must then ask what is `unwanted`.
        """
        return self._announcements.listen()
