"""Commands to Redis, and scripts among them, whichever way they travel."""

import hashlib
from collections.abc import Awaitable
from typing import Any, Protocol

#: A part of a command. Command names are bytes, so that no driver knows better how the answer is to be read.
Part = bytes | str | int | float


class ScriptUnknown(Exception):
    """The server does not know the script: it was started anew, or is told of it for the first time."""


class Commands(Protocol):
    """Sends commands, each answered in time or failed: plain_commands.py and shared_connection.py."""

    def call(self, *parts: Part, always: bool = False) -> Awaitable[Any]:
        """The answer to a command, as RESP2 has it: bytes, whole numbers, None and lists of these.

        Raises CacheUnavailable, ScriptUnknown. A server that counts as away is asked only if it is to be
        `always`: where nobody waits for the answer who could do without.
        """

    async def aclose(self) -> None:
        """Close all connections; calls under way fail."""


class Script:
    """A script of Redis, sent by its hash where the server knows it."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self._sha = hashlib.sha1(self.text).hexdigest().encode()  # noqa: S324 (it is what Redis names scripts by)

    async def run(self, commands: Commands, keys: list[str], *arguments: Part) -> Any:
        """Raises CacheUnavailable."""
        try:
            return await commands.call(b"EVALSHA", self._sha, len(keys), *keys, *arguments)
        except ScriptUnknown:
            return await commands.call(b"EVAL", self.text, len(keys), *keys, *arguments)
