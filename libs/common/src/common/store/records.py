"""Records of jobs that have begun, as MongoDB keeps them."""

from pymongo.errors import DuplicateKeyError

from common.breaker import Breaker
from common.jobs import Record
from common.settings import StoreSettings
from common.store import documents
from common.store.batched_documents import BatchedDocuments
from common.store.connecting import LOST, Client, Collections, new_client
from common.store.conversations import Conversations
from common.store.deadline import Deadline
from common.store.documents import Documents, record_of
from common.store.plain_documents import PlainDocuments
from common.turns import Turn


class Store:
    """Records of jobs that have begun. A terminal one is written once and read until it expires."""

    def __init__(self, settings: StoreSettings) -> None:
        self._timeout_s = settings.store_timeout_s
        self._breaker = Breaker("store", LOST)
        self._client: Client = new_client(settings.mongo_url.get_secret_value(), self._timeout_s)
        results = Collections(self._client)
        self._results = results.lasting
        self.conversations = Conversations(self._results, self._deadline)
        self._documents: Documents = (
            BatchedDocuments(results, self._timeout_s) if settings.store_batching else PlainDocuments(results)
        )

    async def prepare(self) -> None:
        """Make the index that deletes what has expired; does nothing if it is there."""
        async with self._deadline():
            await self._results.create_index("delete_at", name="delete_at", expireAfterSeconds=0)

    async def begin(self, started: Record, keep_until: float) -> bool:
        """Save the record of a job that runs, unless the store knows of a later attempt or of the end.

        Says whether there is no end yet. The document stays until `keep_until` (Unix seconds), so that no poll
        takes the job for one that waits. Raises JobDeleted.
        """
        async with self._deadline():
            if await self._documents.write(documents.begun(started, keep_until)):
                return True
            there = record_of(await self._documents.find(started.id))
        return there is None or not there.is_terminal

    async def save(self, record: Record, keep_until: float, turn: Turn | None = None) -> Record:
        """Save a terminal record unless there is one already; returns the one that counts.

        It can be read until its `expires_at`; the document stays until `keep_until` (Unix seconds) if that
        is later, so that the job is known to have expired for as long as its id alone cannot tell. Raises JobDeleted.
        """
        async with self._deadline():
            while not await self._documents.write(documents.ended(record, keep_until, turn)):
                there = record_of(await self._documents.find(record.id))
                # Any other one came while ours was on its way, and gives way to it, or has gone by now.
                if there is not None and there.is_terminal:
                    return there
        return record

    async def find(self, job_id: str) -> Record | None:
        """The record of a job that has begun, even if it has expired and is still there; raises JobDeleted."""
        async with self._deadline():
            return record_of(await self._documents.find(job_id))

    async def erase(self, job_id: str, keep_until: float) -> None:
        """Replace whatever there is of the job by the fact that it was deleted, until `keep_until` (Unix seconds)."""
        async with self._deadline():
            while True:
                try:
                    await self._results.replace_one({"_id": job_id}, documents.tombstone(keep_until), upsert=True)
                except DuplicateKeyError:
                    # Its first document came at the same moment.
                    continue
                return

    async def start_over(self, known: Record, queued: Record) -> bool:
        """Write the queued record over exactly the `known` one, and say whether that was there.

        For an operator who has a failed job tried again; everybody else goes forward only.
        """
        document = documents.in_progress(queued, queued.expires_at)
        of = {"_id": known.id, "record": known.encode().decode()}
        async with self._deadline():
            written = await self._results.replace_one(of, document)
        return written.matched_count == 1

    @property
    def is_away(self) -> bool:
        """Whether it has not answered for some time, and is not only slow."""
        return self._breaker.is_away

    async def ping(self) -> None:
        """Return if the store answers; raises StoreUnavailable. Always asks, also one that counts as away."""
        async with self._deadline(always=True):
            await self._client.admin.command("ping")

    async def aclose(self) -> None:
        """Close all connections."""
        await self._documents.aclose()
        self._client.close()

    def _deadline(self, *, always: bool = False) -> Deadline:
        return Deadline(self._breaker, self._timeout_s, always=always)
