"""What running attempts have written so far, and the pieces of it as they are announced.

Each attempt has a text of its own, which only grows: `text:<id>:<attempt>`. On the channel `text:<id>` comes every
piece, as JSON: the attempt, the offset in characters into its text, the piece. One of no length at offset 0 says that
the attempt has begun.
"""

from dataclasses import dataclass

import orjson

from common.cache.commands import Commands, Script
from common.cache.keys import Keys
from common.cache.leases import milliseconds

# Append a piece if what is there is what the writer takes it for; what it sent before, and sends again since the
# answer was lost, is there already. A length of -1 writes the text anew. Returns how many bytes are there now.
# KEYS: text. ARGV: length in bytes before, piece, milliseconds to live, channel, announcement.
WRITE = Script("""
local before = tonumber(ARGV[1])
if before >= 0 and redis.call('STRLEN', KEYS[1]) ~= before then return redis.call('STRLEN', KEYS[1]) end
if before < 0 then redis.call('DEL', KEYS[1]) end
local length = redis.call('APPEND', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return length
""")


@dataclass(frozen=True)
class Piece:
    """A part of what an attempt writes; `offset` is in characters."""

    job_id: str
    attempt: int
    offset: int
    text: str


def encode_piece(attempt: int, offset: int, text: str) -> bytes:
    return orjson.dumps((attempt, offset, text))


def decode_piece(job_id: str, encoded: bytes) -> Piece:
    attempt, offset, text = orjson.loads(encoded)
    return Piece(job_id, attempt, offset, text)


class Texts:
    """The texts of running attempts."""

    def __init__(self, commands: Commands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def append(self, piece: Piece, bytes_before: int, ttl_s: float) -> bool:
        """Add a piece to a text of so many bytes, and say whether the cache has it now with all before it.

        If not, the cache has forgotten some of it, and needs the whole text. Raises CacheUnavailable.
        """
        encoded = piece.text.encode()
        return await self._write(piece, bytes_before, encoded, ttl_s) == bytes_before + len(encoded)

    async def replace(self, whole: Piece, ttl_s: float) -> None:
        """Write the whole text of an attempt anew; raises CacheUnavailable."""
        await self._write(whole, -1, whole.text.encode(), ttl_s)

    async def read(self, job_id: str, attempt: int) -> str:
        """What the attempt has written so far, as far as the cache knows; raises CacheUnavailable."""
        text: bytes | None = await self._commands.call(b"GET", self._keys.text(job_id, attempt))
        return text.decode() if text else ""

    async def _write(self, piece: Piece, bytes_before: int, encoded: bytes, ttl_s: float) -> int:
        length: int = await WRITE.run(
            self._commands,
            [self._keys.text(piece.job_id, piece.attempt)],
            *(bytes_before, encoded, milliseconds(ttl_s), self._keys.texts + piece.job_id),
            encode_piece(piece.attempt, piece.offset, piece.text),
        )
        return length
