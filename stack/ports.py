"""TCP ports on loopback: which are free, and who holds those that are not."""

import contextlib
import fcntl
import functools
import os
import random
import socket
import tempfile
from pathlib import Path

# Below 32768, where Linux begins to hand out client ports: a client that keeps trying a dead port in that
# range can end up connected to itself, and then it holds the port against the server that comes back.
LOWEST, HIGHEST = 20000, 32000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        # As the servers do, so that connections of an earlier run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


_reserved: set[int] = set()


def free_ports(count: int) -> list[int]:
    """`count` different ports that are free now, and that no process of this user gets again while this one lives.

    So a port stays ours before its server has bound it, and while that is stopped.
    """
    found: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST):
        if len(found) == count:
            return found
        if is_free(port) and _reserve(port):
            found.append(port)
    raise RuntimeError(f"fewer than {count} free ports between {LOWEST} and {HIGHEST}")


def free_port() -> int:
    return free_ports(1)[0]


def _reserve(port: int) -> bool:
    """Lock the byte at `port` of a file that all processes of this user share; the lock goes with the process."""
    if port in _reserved:  # such a lock does not keep out its own process
        return False
    with contextlib.suppress(BlockingIOError, PermissionError):
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        _reserved.add(port)
        return True
    return False


@functools.cache
def _reservations() -> int:
    path = Path(tempfile.gettempdir()) / f"gpt-jobs-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def owner(port: int) -> str | None:
    """The process listening on `port`, as "name (pid N)"; None when it cannot be seen, as another user's."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            held = {str(fd.readlink()) for fd in (directory / "fd").iterdir()}
        except OSError:  # another user's, or gone since
            continue
        if held & sockets:
            return f"{(directory / 'comm').read_text().strip()} (pid {directory.name})"
    return None


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            columns = line.split()
            local, state, inode = columns[1], columns[3], columns[9]
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:  # 0A is LISTEN
                inodes.append(inode)
    return inodes
