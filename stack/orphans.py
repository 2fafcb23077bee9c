"""No process outlives the one that wanted it, however that one ends (Linux)."""

import ctypes
import os
import shutil
import signal
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def bound(command: tuple[str, ...]) -> tuple[str, ...]:
    """`command`, sent SIGTERM as soon as the thread that starts it is gone, even by SIGKILL."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM", "--", *command) if setpriv else command


def adopt() -> None:
    """From now on a descendant that loses its parent becomes our child, where it can be found."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury(spare: int) -> None:
    """Take note of the adopted that have ended, or they stay as zombies; `spare` is waited for elsewhere."""
    for pid in _children():
        if pid != spare:
            os.waitpid(pid, os.WNOHANG)


def end_children(grace_s: float) -> list[str]:
    """End every child, first politely; the names of those that had to be killed."""
    deadline = time.monotonic() + grace_s
    _signal_all(signal.SIGTERM)
    while (left := _living()) and time.monotonic() < deadline:
        time.sleep(0.05)
    names = [_name(pid) for pid in left]
    while _living():
        _signal_all(signal.SIGKILL)
        time.sleep(0.05)
    return names


def _living() -> list[int]:
    bury(spare=0)
    return _children()


def _children() -> list[int]:
    """The running and the ended."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _signal_all(number: signal.Signals) -> None:
    for pid in _living():
        os.kill(pid, number)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return str(pid)
