"""Draws the dashboards for the documents, from real series: `make dashboard-pictures`.

A few minutes of load, with a burst that is more than the workers can answer at once.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from stack.program import ROOT
from tests.dashboards.files import Query, dashboard
from tests.dashboards.live.drawing import Line, draw, named
from tests.dashboards.live.load import put_on
from tests.dashboards.live.prometheus import Api
from tests.dashboards.live.scraped import scraped

FOLDER = ROOT / "docs" / "dashboards"
#: Seconds, and jobs in each of them.
PHASES = ((100, 5.0), (30, 20.0), (170, 5.0))
STEP_S = 2
INTERVAL = "20s"
#: The row of the Overview with which its second picture begins.
SECOND_PART = "RabbitMQ"


async def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        async with ClientSession(connector=TCPConnector(limit=0)) as http, scraped(Path(home), http, {}) as system:
            begin = time.time()
            await put_on(system, *PHASES)
            end = time.time()
            for name in ("overview", "upstream", "reads"):
                await _draw(system.prometheus, name, begin + 20, end)


async def _draw(prometheus: Api, name: str, begin: float, end: float) -> None:
    panels = dashboard(name)["panels"]
    lines = {panel["id"]: await _lines(prometheus, name, panel, begin, end) for panel in panels}
    FOLDER.mkdir(exist_ok=True)
    titles = [panel["title"] for panel in panels]
    cut = titles.index(SECOND_PART) if SECOND_PART in titles else len(panels)
    draw(panels[:cut], lines, FOLDER / f"{name}.png")
    if panels[cut:]:
        draw(panels[cut:], lines, FOLDER / f"{name}-servers.png")


async def _lines(prometheus: Api, name: str, panel: dict[str, Any], begin: float, end: float) -> list[Line]:
    lines = []
    for target in panel.get("targets", ()):
        expr = Query(name, panel["title"], target["expr"]).substituted(INTERVAL)
        for series in await prometheus.over_time(expr, begin, end, STEP_S):
            times = [(at - end) / 60 for at, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            lines.append(Line(named(target["legendFormat"], series["metric"]), times, values))
    return sorted(lines, key=lambda line: line.name) if len(panel.get("targets", ())) == 1 else lines


if __name__ == "__main__":
    asyncio.run(main())
