"""What the chart gives to Prometheus and Grafana."""

import json
from pathlib import Path

from tests.chart.found import COMPONENTS, of_kind
from tests.chart.matrix import CASES, MONITORING
from tests.chart.rendering import copy_with_stubs, documents_in, overlaid, render, render_sources

DASHBOARD = {"title": "A dashboard", "panels": [{"legendFormat": "{{queue}}"}]}


def test_there_is_nothing_unless_asked_for() -> None:
    kinds = {document["kind"] for document in render()}
    assert not kinds & {"PodMonitor", "PrometheusRule", "ConfigMap"}


def test_pods_are_found_by_their_labels_at_their_admin_port() -> None:
    documents = CASES["monitoring"].documents
    monitors = of_kind(documents, "PodMonitor")
    assert monitors.keys() == COMPONENTS.keys()
    for component, monitor in monitors.items():
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        labels = of_kind(documents, "Deployment")[component]["spec"]["template"]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert monitor["spec"]["podTargetLabels"] == ["app.kubernetes.io/component", "app.kubernetes.io/instance"]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint == {"port": "admin", "path": "/metrics", "interval": "15s"}


def test_dashboards_are_as_they_are_in_their_files(tmp_path: Path) -> None:
    chart = copy_with_stubs(tmp_path)
    (chart / "dashboards").mkdir(exist_ok=True)
    (chart / "dashboards" / "example.json").write_text(json.dumps(DASHBOARD, indent=2), encoding="utf-8")
    values = overlaid(MONITORING, {"monitoring": {"dashboards": {"label": "my_dashboard", "labelValue": "yes"}}})
    config = of_kind(documents_in(render_sources(values, chart=chart)), "ConfigMap")["dashboard-example"]
    assert config["metadata"]["labels"]["my_dashboard"] == "yes"
    assert config["metadata"]["annotations"] == {"grafana_folder": "gpt-jobs"}
    assert json.loads(config["data"]["example.json"]) == DASHBOARD
