"""Each write and read alone: what batched_documents.py is compared with."""

from pymongo.errors import DuplicateKeyError

from common.store.connecting import Collections
from common.store.documents import Document, Write


class PlainDocuments:
    """An exchange with the server, in a thread of motor's, for each."""

    def __init__(self, results: Collections) -> None:
        self._results = results

    async def write(self, write: Write) -> bool:
        results = self._results.for_(must_last=write.must_last)
        try:
            await results.replace_one(write.of, write.document, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def find(self, job_id: str) -> Document | None:
        return await self._results.lasting.find_one({"_id": job_id})

    async def aclose(self) -> None:
        pass
