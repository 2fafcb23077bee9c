"""One program as a child process, for the tests."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from stack import orphans
from stack.program import Program

# All that a child gets of our environment, so that what a developer has exported changes no test.
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TZ")


class NotReadyError(Exception):
    """The program ended, or did not answer in time; the message holds the end of its log."""


class Process:
    """Runs a `Program` in a process group of its own, its output in a file.

    Start it in the main thread: it is ended when the thread that started it is.

        with Process(servers.redis(directory, port), log) as redis:
            redis.freeze()
    """

    def __init__(self, program: Program, log: Path, *, ready_within_s: float = 60.0) -> None:
        self.program = program
        self.log = log
        self._ready_within_s = ready_within_s
        self._child: subprocess.Popen[bytes] | None = None
        self._group_may_live = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    def start(self, *, wait: bool = True) -> None:
        """Start it, also again after `stop`; returns when it answers, or at once without `wait`."""
        self.program.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                orphans.bound(self.program.command),
                cwd=self.program.directory,
                env={**inherited, **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._group_may_live = True
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._ready_within_s
        while self.running:
            if self.program.answers():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise NotReadyError(self._complaint(f"did not answer within {self._ready_within_s:g} s"))
            time.sleep(0.05)
        raise NotReadyError(self._complaint(f"ended with status {self.returncode}"))

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError(f"{self.program.name} was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """As of subprocess: None while it runs, -N when signal N ended it."""
        return self._child.poll() if self._child else None

    def signal(self, number: signal.Signals) -> None:
        """Send it to the program and to those of its children that stay in its group."""
        os.killpg(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP; returns when every thread stands still, so that nothing is answered any more."""
        self.signal(signal.SIGSTOP)
        while any(_state(task) != "T" for task in Path(f"/proc/{self.pid}/task").iterdir()):
            time.sleep(0.005)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Its exit status, once it has ended by itself; subprocess.TimeoutExpired when it does not."""
        if self._child is None:
            raise RuntimeError(f"{self.program.name} was never started")
        return self._child.wait(timeout_s)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after the program's grace. Safe to call at any time and twice."""
        if self.running:
            self.signal(signal.SIGCONT)  # a frozen process would sleep through SIGTERM
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(self.program.grace_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the whole group, also for what an already ended leader has left behind."""
        if self._child is None or not self._group_may_live:
            return
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._child.wait()
        self._group_may_live = False  # its number may soon be another group's

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _complaint(self, what: str) -> str:
        tail = "\n".join(self.output().splitlines()[-25:])
        return f"{self.program.name} {what}; the end of {self.log}:\n{tail}"


def _state(task: Path) -> str:
    """One letter, as in ps; it follows the name, which is in parentheses and may hold anything."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]
