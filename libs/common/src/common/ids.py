"""Job ids that carry their own proof: when they were minted, and for which client.

`job_` + base32 (RFC 4648, upper case) of 20 bytes: 6 of milliseconds since 1970, 8 random, 6 of
HMAC-SHA256(key, the 14 bytes before + the client's name in UTF-8). An invented id, or another client's,
is found out without any storage.

As a command, for publishers on the broker: `JOB_ID_KEYS=… python -m common.ids [--client NAME] [--count N]`.
"""

import argparse
import base64
import hmac
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

PREFIX = "job_"
#: What a publisher on the broker may bring as an id of its own.
FOREIGN = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_MINTED = re.compile(r"job_[A-Z2-7]{32}")
_REMEMBERED = 16_384
_RAW_BYTES, _RANDOM_BYTES, _PROOF_BYTES = 20, 8, 6
#: For how many ids randomness is drawn at once.
_DRAWN = 512
# The digits of base32 as those that int() reads, which is ten times as fast as base64.b32decode.
_DIGITS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")


class JobIds:
    """Mints and verifies ids with the keys of `JOB_ID_KEYS`: the first one signs, any of them verifies."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        # To begin each proof as a copy is three times as fast as with the key.
        self._begun = [hmac.new(key.encode(), digestmod="sha256") for key in keys]
        self._randomness = _randomness()
        # Most ids are asked about again and again.
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._minted_at)

    def mint(self, client: str = "", now: float | None = None) -> str:
        """A new id for the client (the empty name where no API keys are set); `now` is in Unix seconds."""
        milliseconds = int((time.time() if now is None else now) * 1000)
        signed = milliseconds.to_bytes(6) + next(self._randomness)
        return PREFIX + base64.b32encode(signed + _proof(self._begun[0], signed, client)).decode()

    def minted_at(self, job_id: str, client: str = "") -> float | None:
        """When we minted this id for this client, in Unix seconds; None if we never did."""
        return self._remembered(job_id, client)

    def _minted_at(self, job_id: str, client: str) -> float | None:
        raw = _raw(job_id)
        if raw is None:
            return None
        signed, proof = raw[:-_PROOF_BYTES], raw[-_PROOF_BYTES:]
        if all(not hmac.compare_digest(proof, _proof(begun, signed, client)) for begun in self._begun):
            return None
        return _time_of(raw)


def _randomness() -> Iterator[bytes]:
    """Bytes for one id after the other, drawn for many at once: to ask the system costs more than all else."""
    while True:
        pool = secrets.token_bytes(_RANDOM_BYTES * _DRAWN)
        for start in range(0, len(pool), _RANDOM_BYTES):
            yield pool[start : start + _RANDOM_BYTES]


def is_foreign(job_id: str) -> bool:
    """Whether the id is one that a publisher may have brought itself."""
    return not job_id.startswith(PREFIX) and FOREIGN.fullmatch(job_id) is not None


def unverified_time(job_id: str) -> float | None:
    """The Unix seconds that an id of our form claims; for those who need no proof. None for other forms."""
    raw = _raw(job_id)
    return None if raw is None else _time_of(raw)


def _raw(job_id: str) -> bytes | None:
    """The bytes of an id of our form; None for other forms."""
    if not _MINTED.fullmatch(job_id):
        return None
    return int(job_id[len(PREFIX) :].translate(_DIGITS), 32).to_bytes(_RAW_BYTES)


def _time_of(raw: bytes) -> float:
    return int.from_bytes(raw[:6]) / 1000


def _proof(begun: hmac.HMAC, signed: bytes, client: str) -> bytes:
    proof = begun.copy()
    proof.update(signed + client.encode())
    return proof.digest()[:_PROOF_BYTES]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print new ids, one a line."""
    parser = argparse.ArgumentParser(prog="python -m common.ids", description="Mint job ids.")
    parser.add_argument("--client", default="", help="the client that will read the result")
    parser.add_argument("--count", type=int, default=1)
    options = parser.parse_args(arguments)
    keys = [key.strip() for key in os.environ.get("JOB_ID_KEYS", "").split(",") if key.strip()]
    if not keys:
        sys.stderr.write("common.ids: JOB_ID_KEYS is missing\n")
        return 2
    ids = JobIds(keys)
    for _ in range(options.count):
        sys.stdout.write(ids.mint(options.client) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
