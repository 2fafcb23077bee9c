"""Runs `python -m stack ask`, which `make ask` is, as a process: on a terminal or with its output in pipes."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from stack.program import ROOT
from tests.waiting import eventually

# Who started the tests may have had them ignore SIGINT, as a shell does with what runs in its background.
COMMAND = ("env", "--default-signal=INT", sys.executable, "-W", "error", "-m", "stack", "ask")


@dataclass
class Asking:
    """The process on its terminal, and all that it has shown there."""

    process: asyncio.subprocess.Process
    shown: bytearray = field(default_factory=bytearray)

    def text(self) -> str:
        """As it came, control sequences among it."""
        return self.shown.decode().replace("\r\n", "\n")

    async def until_shown(self, text: str) -> None:
        """Wait for a text on the terminal."""
        await eventually(lambda: text in self.text(), timeout_s=30)


def _environment(prompt: str, url: str, settings: dict[str, str]) -> dict[str, str]:
    asked = {"ASK_MSG": prompt, "GATEWAY_URL": url, "READER_URL": url}
    return {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **asked, **settings}


@asynccontextmanager
async def on_a_terminal(prompt: str, url: str = "", **settings: str) -> AsyncIterator[Asking]:
    """It runs on a terminal of its own; killed at the end if it still does."""
    ours, its = pty.openpty()
    streams: dict[str, Any] = {"stdin": its, "stdout": its, "stderr": its}
    process = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=ROOT, env=_environment(prompt, url, settings), start_new_session=True, **streams
    )
    os.close(its)
    asking = Asking(process)
    reading = asyncio.create_task(asyncio.to_thread(_read, ours, asking.shown))
    try:
        yield asking
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
        os.close(ours)


def _read(terminal: int, shown: bytearray) -> None:
    with suppress(OSError):  # how the end of a terminal is told
        while piece := os.read(terminal, 65536):
            shown += piece


async def in_a_pipe(prompt: str, url: str = "", **settings: str) -> tuple[int | None, str, str]:
    """Exit status, standard output and standard error."""
    pipes: dict[str, Any] = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=ROOT, env=_environment(prompt, url, settings), **pipes
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
