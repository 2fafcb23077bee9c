"""What must hold before anything is started: one run at a time, nothing left of an earlier one, free ports."""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stack import ports
from stack.plan import Port

#: Longer than anything but a worker with slow calls in hand needs to stop.
PATIENCE_S = 60.0


class CannotRunError(Exception):
    """The message says what is in the way and what to do about it."""


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep a second run out of `directory` for as long as this one lasts, however it ends."""
    with (directory / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotRunError(
                f"It already runs here (pid {lock.read().strip()}). Stop that one first, with Ctrl-C or kill."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def end_earlier_run(pidfile: Path, pause: Callable[[], None]) -> bool:
    """Wait for the supervisord of a run that was killed; True if the last run did not end well."""
    if not pidfile.exists():  # supervisord removes it when it ends as it should
        return False
    pid = pidfile.read_text().strip()
    deadline = time.monotonic() + PATIENCE_S
    if _is_supervisord(pid):
        print(f"An earlier run is still being stopped (pid {pid}) …", flush=True)
        os.kill(int(pid), signal.SIGTERM)
    while _is_supervisord(pid):
        if time.monotonic() > deadline:
            raise CannotRunError(f"An earlier run does not end (pid {pid}); end it with: kill -9 {pid}")
        pause()
    pidfile.unlink(missing_ok=True)
    return True


def check_ports(wanted: Sequence[Port], patience_s: float, pause: Callable[[], None]) -> None:
    """Every port is free, if need be after a while: servers of a killed run may still be writing their data."""
    deadline = time.monotonic() + patience_s
    while taken := [port for port in wanted if not ports.is_free(port.number)]:
        if time.monotonic() > deadline:
            raise CannotRunError(_complaint(taken))
        pause()


def _complaint(taken: Sequence[Port]) -> str:
    owned = [
        f"Port {port.number}, for {port.needed_by}, is taken by "
        f"{ports.owner(port.number) or 'a process of another user'}."
        for port in taken
    ]
    elsewhere = " ".join(f"{port.variable}={_free_near(port.number)}" for port in taken)
    return "\n".join([*owned, f"Stop what holds it, or use another port: make run {elsewhere}"])


def _free_near(number: int) -> int:
    return next(port for port in range(number + 10, 65536) if ports.is_free(port))


def _is_supervisord(pid: str) -> bool:
    try:
        return b"supervisor.supervisord" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
