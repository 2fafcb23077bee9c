"""TCP ports on loopback: which are free, and who holds those that are not."""

import random
import socket
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


def free_ports(count: int) -> list[int]:
    """`count` different ports that are free now. Drawn at random, so that parallel test runs rarely meet."""
    found: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST):
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise RuntimeError(f"fewer than {count} free ports between {LOWEST} and {HIGHEST}")


def free_port() -> int:
    return free_ports(1)[0]


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
