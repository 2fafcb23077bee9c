"""Refuses a submission that continues what cannot be continued, while its client can still be told."""

from common.errors import ErrorCode, ServiceError
from common.jobs import Record, Status
from common.lookup import Lookup
from common.store import Store

_PARAM = "options.parent_id"


class Parents:
    """The jobs that submissions follow."""

    def __init__(self, lookup: Lookup, store: Store) -> None:
        self._lookup = lookup
        self._store = store

    async def check(self, parent_id: str, client: str) -> None:
        """Return if it is a completed job of this client, and is kept.

        Raises ServiceError: `parent_not_found`, `parent_not_finished`, or if it cannot be known
        `store_unavailable` or `cache_unavailable`.
        """
        try:
            found = await self._lookup.find(parent_id, client)
        except ServiceError as error:
            if error.code is ErrorCode.JOB_EXPIRED and await self._store.conversations.is_open(parent_id):
                return
            if error.code in (ErrorCode.JOB_NOT_FOUND, ErrorCode.JOB_EXPIRED, ErrorCode.JOB_DELETED):
                raise ServiceError(ErrorCode.PARENT_NOT_FOUND, param=_PARAM) from error
            raise
        if not found.is_terminal:
            raise ServiceError(ErrorCode.PARENT_NOT_FINISHED, param=_PARAM)
        if Record.decode(found.body).status is not Status.COMPLETED:
            raise ServiceError(ErrorCode.PARENT_NOT_FOUND, param=_PARAM)
