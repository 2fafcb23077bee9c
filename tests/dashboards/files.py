"""What the chart holds of dashboards and alerts, as the tests look at it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stack.program import ROOT
from tests.chart.rendering import CHART, EXTERNAL, overlaid, render

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
PROMTOOL = ROOT / ".local" / "prometheus" / "usr" / "bin" / "promtool"
#: The release whose alerts are looked at.
NAMESPACE, RELEASE = "shop", "answers"


@dataclass(frozen=True)
class Query:
    """One line, or several, of a panel."""

    dashboard: str
    panel: str
    expr: str

    def substituted(self, interval: str) -> str:
        """As Grafana sends it, with everything chosen and a step that needs `interval` to see a rate."""
        values = {"$__rate_interval": interval, "$namespace": NAMESPACE, "$release": RELEASE}
        return re.sub(r"\$\w+", lambda variable: values[variable[0]], self.expr)

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expr}"


def dashboard(name: str) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = json.loads((CHART / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
    return document


def panels(name: str) -> list[dict[str, Any]]:
    """The panels of a dashboard that show something."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """Every query of every panel of every dashboard."""
    return [
        Query(path.stem, panel["title"], target["expr"])
        for path in DASHBOARDS
        for panel in panels(path.stem)
        for target in panel["targets"]
    ]


def monitoring(thresholds: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The chart's manifests with everything switched on that is for monitoring."""
    switched_on = {
        "monitoring": {
            "podMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True, "thresholds": thresholds or {}},
            "dashboards": {"enabled": True},
        }
    }
    return render(overlaid(EXTERNAL, switched_on), release=RELEASE, namespace=NAMESPACE)


def rule_groups(thresholds: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The alerts as a file of rules."""
    (rule,) = [document for document in monitoring(thresholds) if document["kind"] == "PrometheusRule"]
    return {"groups": rule["spec"]["groups"]}


def alerts(thresholds: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The alerts, one by one."""
    return [rule for group in rule_groups(thresholds)["groups"] for rule in group["rules"]]
