"""Redis: the one place that imports redis and hiredis. Their exceptions never leave this package."""

from common.cache.cancels import Answer, Cancelled
from common.cache.keys_used import KeyHold, KeysUsed, Use, Used
from common.cache.leases import WORKER_TTL_S, Claim, Lease, Taken
from common.cache.line import Line, LineSample
from common.cache.records import Cache
from common.cache.texts import Piece

__all__ = [
    "WORKER_TTL_S",
    "Answer",
    "Cache",
    "Cancelled",
    "Claim",
    "KeyHold",
    "KeysUsed",
    "Lease",
    "Line",
    "LineSample",
    "Piece",
    "Taken",
    "Use",
    "Used",
]
