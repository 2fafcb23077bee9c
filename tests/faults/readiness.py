"""Waits for a process in steps, since the test's own process has clients and proxies to run meanwhile."""

import asyncio

from stack.process import NotReadyError, Process

READY_WITHIN_S = 60.0


async def ready(process: Process) -> None:
    """Return when it answers."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while not await asyncio.to_thread(process.program.answers):
                if not process.running:
                    raise NotReadyError(f"{process.program.name} has ended; the end of its log:\n{_tail(process)}")
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise NotReadyError(f"{process.program.name} is not ready; the end of its log:\n{_tail(process)}") from None


async def start(process: Process) -> None:
    """Start it, also again; returns when it answers."""
    process.start(wait=False)
    await ready(process)


async def stop(process: Process) -> None:
    """SIGTERM, and SIGKILL if it does not heed that."""
    await asyncio.to_thread(process.stop)


def _tail(process: Process) -> str:
    return "\n".join(process.output().splitlines()[-25:])
