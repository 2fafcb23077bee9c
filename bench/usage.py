"""What a running program has used so far, from /proc; its children in the same process group count with it."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Processor time in user mode and in the kernel. `pid` is a `Process`'s, and so its group's."""
    return sum(int(stat[11]) + int(stat[12]) for stat in _stats_of_group(pid)) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Resident memory; what children share with their parent is counted for each."""
    return sum(int(stat[21]) for stat in _stats_of_group(pid)) * _PAGE_BYTES


def _stats_of_group(group: int) -> Iterator[list[str]]:
    """The fields of proc(5)'s stat after the name, of each process: state, ppid, pgrp, …"""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # gone since
            continue
        if int(fields[2]) == group:
            yield fields
