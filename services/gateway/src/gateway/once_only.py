"""Submissions under an idempotency key: one job, however often and at how many gateways at once they come."""

import asyncio
import hashlib
import json
import re
import time

import structlog
from multidict import CIMultiDictProxy

from common.cache import KeyHold, KeysUsed, Use, Used
from common.errors import BrokerUnavailable, CacheUnavailable, ErrorCode, InvalidRequest, ServiceError
from common.ids import JobIds
from common.jobs import DEADLINE_MARGIN_S
from common.lookup import Lookup
from common.prompts import JobRequest
from gateway.acceptance import Acceptance, Accepted, Begun, Origin
from gateway.settings import GatewaySettings

log = structlog.get_logger()

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
MAX_KEY_CHARS = 255
#: Seconds between two looks at a key under which another submission makes the job: the first pause, and the longest.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.1
#: Seconds beyond the longest that a submission may take, after which its gateway counts as gone.
HELD_MARGIN_S = 1

_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARS}}}")


def read_key(headers: CIMultiDictProxy[str]) -> str | None:
    """The request's idempotency key, if it has one; raises InvalidRequest."""
    if HEADER not in headers:
        return None
    keys = headers.getall(HEADER)
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidRequest(f"must be once, with 1 to {MAX_KEY_CHARS} printable ASCII characters", HEADER)
    return keys[0]


def fingerprint(request: JobRequest) -> str:
    """What two submissions have in common if they mean the same, whatever the white space and the order of fields.

    Without what is as by default, so that it stays the same when a new version knows more fields.
    """
    meant = request.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()


class OnceOnly:
    """Accepts the first submission under a key, and answers the others with its job."""

    def __init__(
        self, settings: GatewaySettings, ids: JobIds, acceptance: Acceptance, keys_used: KeysUsed, lookup: Lookup
    ) -> None:
        self._longest_s = settings.longest_answer_s
        self._readable_s = DEADLINE_MARGIN_S + settings.result_store_ttl_s
        self._ids = ids
        self._acceptance = acceptance
        self._keys_used = keys_used
        self._lookup = lookup

    async def accept(self, key: str, request: JobRequest, deadline_s: float, origin: Origin) -> Accepted:
        """The job of the key: a new one, or the one that was submitted under it, as it is now.

        Raises what Acceptance.accept raises; CacheUnavailable, since nothing is known then; StoreUnavailable; and
        `idempotency_conflict` if the key was used for another submission.
        """
        hold = KeyHold.on(origin.client, key)
        while True:
            new_id = self._ids.mint(origin.client)
            used = await self._used(hold, fingerprint(request), new_id, deadline_s)
            if used.use is Use.OTHERWISE:
                raise ServiceError(ErrorCode.IDEMPOTENCY_CONFLICT, param=HEADER)
            if used.job_id == new_id:
                return await self._make(hold, used.job_id, request, deadline_s, origin, is_new=True)
            try:
                found = await self._lookup.find(used.job_id, origin.client)
            except ServiceError as error:
                if error.code is not ErrorCode.JOB_EXPIRED:
                    raise
                await self._keys_used.forget(hold, used.job_id)
                continue
            if used.use is Use.ACCEPTED:
                return Accepted(used.job_id, found, is_new=False)
            if found.is_terminal:
                await self._keys_used.accept(hold, used.job_id)
                return Accepted(used.job_id, found, is_new=False)
            # Its gateway is gone, and nobody knows whether the broker has its message.
            log.warning("job_taken_over", job_id=used.job_id)
            return await self._make(hold, used.job_id, request, deadline_s, origin, is_new=False)

    async def _used(self, hold: KeyHold, print_: str, new_id: str, deadline_s: float) -> Used:
        """The use of the key, when no other submission is making the job any more; raises BrokerUnavailable."""
        give_up_at, pause_s = time.monotonic() + self._longest_s, FIRST_PAUSE_S
        held_s, ttl_s = self._longest_s + HELD_MARGIN_S, deadline_s + self._readable_s
        while True:
            used = await self._keys_used.use(hold, print_, new_id, held_s, ttl_s)
            if used.use is not Use.PENDING:
                return used
            if time.monotonic() >= give_up_at:
                raise BrokerUnavailable
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _make(
        self, hold: KeyHold, job_id: str, request: JobRequest, deadline_s: float, origin: Origin, *, is_new: bool
    ) -> Accepted:
        """Make the job, new or once more: a worker that sees it twice knows it by its id."""
        minted_at = self._ids.minted_at(job_id, origin.client) or time.time()
        try:
            accepted = await self._acceptance.accept(request, deadline_s, origin, Begun(job_id, minted_at, hold))
        except BrokerUnavailable:
            # The key is free when the job is withdrawn, and not before.
            raise
        except ServiceError:
            await self._let_go(hold, is_anothers_job=not is_new)
            raise
        try:
            if not await self._keys_used.accept(hold, job_id):
                raise BrokerUnavailable
        except CacheUnavailable:
            # It is accepted all the same, and whoever repeats it takes the same job over.
            log.warning("key_not_settled")
        return accepted

    async def _let_go(self, hold: KeyHold, *, is_anothers_job: bool) -> None:
        try:
            await self._keys_used.let_go(hold, is_anothers_job=is_anothers_job)
        except CacheUnavailable:
            log.warning("key_not_let_go")
