"""Writes and reads of one turn of the event loop in one exchange with the server.

docs/adr/0017-writes-of-a-tick-in-one-bulk.md says what that gains.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, WriteError

from common.store.connecting import Collection, Collections
from common.store.documents import Document, Write
from common.store.line import Line
from common.store.plain_documents import PlainDocuments

#: Writes, and bytes of them, that go in one exchange; what is larger goes alone.
MOST_WRITES = 500
MOST_BYTES = 1_000_000
#: Reads that do; how large the answers are is not known before.
MOST_READS = 100

_DUPLICATE_KEY = 11000


class BatchedDocuments:
    """Three lines: for writes that must last, for those that need not, and for reads."""

    def __init__(self, results: Collections, timeout_s: float) -> None:
        # A batch of one is what it is there too.
        alone = PlainDocuments(results)
        lasting, fleeting = _Writing(results.lasting, alone), _Writing(results.fleeting, alone)
        finding = _Finding(results.lasting, alone)
        self._lasting = Line(lasting.carry_out, timeout_s, MOST_WRITES, MOST_BYTES)
        self._fleeting = Line(fleeting.carry_out, timeout_s, MOST_WRITES, MOST_BYTES)
        self._finds = Line(finding.carry_out, timeout_s, MOST_READS, MOST_BYTES)

    async def write(self, write: Write) -> bool:
        # Two of the same job in an unordered bulk would be carried out in any order.
        line = self._lasting if write.must_last else self._fleeting
        return await line.ask(write, size=write.size, only_one_of=write.job_id)

    async def find(self, job_id: str) -> Document | None:
        return await self._finds.ask(job_id)

    async def aclose(self) -> None:
        for line in (self._lasting, self._fleeting, self._finds):
            await line.aclose()


class _Writing:
    def __init__(self, results: Collection, alone: PlainDocuments) -> None:
        self._results = results
        self._alone = alone

    async def carry_out(self, writes: Sequence[Write]) -> Sequence[bool | Exception]:
        if len(writes) == 1:
            return [await self._alone.write(writes[0])]
        replacements = [ReplaceOne(write.of, write.document, upsert=True) for write in writes]
        answers: list[bool | Exception] = [True] * len(writes)
        try:
            await self._results.bulk_write(replacements, ordered=False)
        except BulkWriteError as error:
            if error.details["writeConcernErrors"]:
                raise  # nobody knows then which of them will last
            for failed in error.details["writeErrors"]:
                answers[failed["index"]] = _answer_to(failed)
        return answers


def _answer_to(failed: dict[str, Any]) -> bool | Exception:
    if failed["code"] == _DUPLICATE_KEY:
        return False
    return WriteError(failed["errmsg"], failed["code"], failed)


class _Finding:
    def __init__(self, results: Collection, alone: PlainDocuments) -> None:
        self._results = results
        self._alone = alone

    async def carry_out(self, job_ids: Sequence[str]) -> Sequence[Document | None]:
        wanted = list(set(job_ids))
        if len(wanted) == 1:
            document = await self._alone.find(wanted[0])
            return [document] * len(job_ids)
        found = self._results.find({"_id": {"$in": wanted}}, batch_size=len(wanted) + 1)
        documents = {document["_id"]: document async for document in found}
        return [documents.get(job_id) for job_id in job_ids]
