"""`make run`: the servers, the model stub and the three services on this machine, until Ctrl-C."""

import contextlib
import signal
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from stack import orphans, preflight, screen, supervisord_conf
from stack.plan import Plan, WrongSettingError, make_plan
from stack.preflight import CannotRunError
from stack.program import Program
from stack.supervision import GIVEN_UP, NOT_RUNNING, Supervisor

READY_WITHIN_S = 120.0
STEP_S = 0.1


class StopRequested(Exception):
    """Someone wants everything stopped."""


class Signals:
    """SIGINT, SIGTERM and SIGHUP as something to look at between two steps, never in the middle of one."""

    def __init__(self) -> None:
        self.interrupts = 0
        self._requested = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._requested = True
        self.interrupts += number == signal.SIGINT

    def step(self) -> None:
        """Let a moment pass; StopRequested if that was asked for."""
        if self._requested:
            raise StopRequested
        time.sleep(STEP_S)


def run(environ: Mapping[str, str], directory: Path) -> int:
    """The exit status: 0 when it was told to stop."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    signals = Signals()
    try:
        plan = make_plan(environ, directory)
        with preflight.alone(directory), tempfile.TemporaryDirectory(prefix="gpt-jobs-") as sockets:
            # Not in `directory`: the path of a Unix socket must be short.
            supervisor = Supervisor(directory, Path(sockets) / "supervisord.sock", plan.waves)
            ended_badly = preflight.end_earlier_run(supervisord_conf.pidfile(directory), signals.step)
            preflight.check_ports(plan.ports, 15.0 if ended_badly else 0.0, signals.step)
            _live(plan, supervisor, environ, signals)
    except StopRequested:
        return 0
    except (WrongSettingError, CannotRunError) as problem:
        say(str(problem))
    return 1


def _live(plan: Plan, supervisor: Supervisor, environ: Mapping[str, str], signals: Signals) -> None:
    """Start, welcome, watch; and stop, whatever happens. Ends by an exception only."""
    orphans.adopt()
    try:
        supervisor.start(environ)
        _start(plan, supervisor, signals)
        say(screen.welcome(plan, environ, supervisor.logs.parent))
        _watch(supervisor, signals)
    finally:
        _stop(supervisor, signals)


def _start(plan: Plan, supervisor: Supervisor, signals: Signals) -> None:
    while not supervisor.listening:
        if not supervisor.running:
            raise CannotRunError(f"supervisord did not start:\n{_tail(supervisor.log('supervisord'))}")
        signals.step()
    for wave in plan.waves.values():
        for program in wave:
            _start_one(program, supervisor)
        for program in wave:
            _await(program, supervisor, signals)


def _start_one(program: Program, supervisor: Supervisor) -> None:
    say(f"starting {program.name} …")
    try:
        supervisor.start_program(program.name)
    except xmlrpc.client.Fault as fault:
        raise CannotRunError(f"{program.name} cannot be started: {fault.faultString}") from None


def _await(program: Program, supervisor: Supervisor, signals: Signals) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not program.answers():
        state = supervisor.states().get(program.name)
        if state is None or state in NOT_RUNNING:
            problem = "ended instead of getting ready"
        elif time.monotonic() > deadline:
            problem = f"did not get ready within {READY_WITHIN_S:g} s"
        else:
            signals.step()
            continue
        log = supervisor.log(program.name)
        raise CannotRunError(f"{program.name} {problem}. The end of {log}:\n{_tail(log)}")


def _watch(supervisor: Supervisor, signals: Signals) -> None:
    """Until someone wants a stop. What died for good is said once; the rest goes on."""
    reported: set[str] = set()
    while True:
        for _ in range(10):
            signals.step()
        orphans.bury(spare=supervisor.pid)
        if not supervisor.running:
            raise CannotRunError(f"supervisord has died; see {supervisor.log('supervisord')}")
        given_up = {name for name, state in supervisor.states().items() if state == GIVEN_UP}
        for name in sorted(given_up - reported):
            log = supervisor.log(name)
            say(f"{name} has died and could not be started again. The end of {log}:\n{_tail(log)}")
        reported = given_up


def _stop(supervisor: Supervisor, signals: Signals) -> None:
    say("Stopping, the services first …")
    supervisor.begin_stop()
    interrupts, began, explained = signals.interrupts, time.monotonic(), False
    while supervisor.running and signals.interrupts == interrupts:
        time.sleep(STEP_S)
        if not explained and time.monotonic() - began > 15:
            say("The worker may finish the calls in hand. Ctrl-C again ends everything now.")
            explained = True
    supervisor.kill()
    for name in orphans.end_children(grace_s=10):
        say(f"{name} had to be killed.")
    say("Stopped.")


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {line}" for line in lines[-15:])


def say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone, and everything must be stopped all the same
        print(text, flush=True)
