"""Writes the chart's dashboards: `python -m deploy.dashboards`."""

import json
from pathlib import Path

from deploy.dashboards.grafana import as_json
from deploy.dashboards.overview import OVERVIEW
from deploy.dashboards.reads import READS_DASHBOARD
from deploy.dashboards.upstream import UPSTREAM

FOLDER = Path(__file__).parents[1] / "helm" / "gpt-jobs" / "dashboards"


def files() -> dict[Path, str]:
    """What each file holds."""
    dashboards = {"overview": OVERVIEW, "upstream": UPSTREAM, "reads": READS_DASHBOARD}
    return {
        FOLDER / f"{name}.json": json.dumps(as_json(dashboard), indent=2, ensure_ascii=False) + "\n"
        for name, dashboard in dashboards.items()
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
