"""One run of wrk, the load generator: 64 and more connections from one thread, and what it says at the end."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

#: For the end of a script, so that its findings need not be read from text for people.
REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class WrkResult:
    """`errors` counts answers that are neither 2xx nor 3xx, and connections that broke or took too long."""

    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int


class WrkError(Exception):
    """wrk is not there, or did not get to its end."""


async def run(url: str, *, core: int, connections: int, seconds: float, script: Path) -> WrkResult:
    """`script` is a file of Lua, as in wrk's manual, that ends with `REPORT`."""
    if not shutil.which("wrk"):
        raise WrkError("wrk is not installed; `make bench` does that")
    child = await asyncio.create_subprocess_exec(
        *("taskset", "-c", str(core), "wrk", "--threads", "1", "--connections", str(connections)),
        *("--duration", f"{max(1, round(seconds))}s", "--timeout", "10s", "--script", str(script), url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output = (await child.communicate())[0].decode(errors="replace")
    finally:
        if child.returncode is None:
            child.kill()
    try:
        found = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise WrkError(f"wrk on {url} ended with status {child.returncode}:\n{output}") from None
    return WrkResult(
        requests=found["requests"],
        requests_per_s=found["requests"] / found["us"] * 1e6,
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        errors=found["errors"],
    )
