"""What it takes to run one program of the stack, said once for the tests and for `make run`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: The repository; `python -m stack…` works from here.
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Program:
    """One program: how it is started, where it answers, and how to tell that it does."""

    name: str
    command: tuple[str, ...]
    #: Working directory, made when it is missing. A server keeps its data here.
    directory: Path
    #: True when the program does its work, not merely when its port is open. Returns within a second or two.
    answers: Callable[[], bool]
    #: Laid over the environment of whoever starts the program.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Configuration, written anew before each start: path and content.
    files: Mapping[Path, str] = field(default_factory=dict)
    #: Where clients reach it.
    url: str = ""
    #: Where its health and metrics are, if it has any.
    admin_url: str = ""
    #: How long it may take to end after SIGTERM before it is killed.
    grace_s: float = 15.0

    def prepare(self) -> None:
        """Make its directory and write its configuration."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for path, content in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
