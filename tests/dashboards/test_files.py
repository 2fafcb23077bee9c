"""The dashboards and alerts are well-formed, in step with the code, and speak only of metrics that there are."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import REGISTRY

from common import metrics
from deploy.dashboards.__main__ import files
from stack.program import ROOT
from tests.dashboards.files import (
    DASHBOARDS,
    NAMESPACE,
    PROMTOOL,
    RELEASE,
    alerts,
    dashboard,
    monitoring,
    panels,
    queries,
    rule_groups,
)

NAMES = [path.stem for path in DASHBOARDS]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def known_series() -> dict[str, set[str]]:
    """The names of all series of ours, with their labels."""
    ours = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    names = {metric._name: metric for metric in ours}
    return {
        name: {*names[family]._labelnames, "le"}
        for name, family in ((name, re.sub(r"_(total|bucket|sum|count)$", "", name)) for name in _exported())
        if family in names
    }


def _exported() -> set[str]:
    return {name for name in REGISTRY._names_to_collectors if name.startswith("gpt_jobs_")}


def test_there_are_the_three_dashboards() -> None:
    assert NAMES == ["overview", "reads", "upstream"]


@pytest.mark.parametrize(
    ("path", "text"), files().items(), ids=lambda value: value.stem if isinstance(value, Path) else ""
)
def test_the_file_is_what_the_code_writes(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: make docs"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_one_that_grafana_10_reads(name: str) -> None:
    document = dashboard(name)
    assert document["schemaVersion"] >= 37
    assert document["uid"] == f"gpt-jobs-{name}"
    assert document["title"]
    assert [variable["name"] for variable in document["templating"]["list"]] == ["datasource", "namespace", "release"]
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_each_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_lies_over_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(name)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells


def test_each_query_is_about_the_chosen_namespaces() -> None:
    for query in queries():
        selectors = re.findall(r"\b[a-z]\w*\{([^}]*)\}", query.expr)
        assert selectors
        assert all('namespace=~"$namespace"' in selector for selector in selectors), query


def test_each_query_about_ours_is_about_the_chosen_releases() -> None:
    for query in queries():
        selectors = re.findall(r"\bgpt_jobs_\w+\{([^}]*)\}", query.expr)
        assert all('app_kubernetes_io_instance=~"$release"' in selector for selector in selectors), query


def test_panels_and_alerts_name_only_metrics_and_labels_that_there_are() -> None:
    known = known_series()
    given = {"namespace", "app_kubernetes_io_instance", "app_kubernetes_io_component", "pod"}
    for expr in [str(query.expr) for query in queries()] + [alert["expr"] for alert in alerts()]:
        for name, selector in re.findall(r"\b(gpt_jobs_\w+)(?:\{([^}]*)\})?", expr):
            labels = set(re.findall(r'(\w+)(?:=|!)[=~]?"', selector))
            assert name in known, expr
            assert labels <= known[name] | given, expr


def test_each_alert_is_about_this_release() -> None:
    for alert in alerts():
        for selector in re.findall(r"\b(?:gpt_jobs_\w+|up)\{([^}]*)\}", alert["expr"]):
            assert f'namespace="{NAMESPACE}",app_kubernetes_io_instance="{RELEASE}"' in selector


def test_each_alert_says_what_happens_and_leads_to_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"]["summary"].endswith(".")
        assert alert["annotations"]["description"]
        page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        assert anchor == alert["alert"].lower()
        assert f"### {alert['alert']}\n" in RUNBOOK


def test_the_runbook_has_no_other_alert() -> None:
    assert re.findall(r"^### (GptJobs\w+)$", RUNBOOK, re.MULTILINE) == [alert["alert"] for alert in alerts()]


def test_each_threshold_reaches_its_alert() -> None:
    values: dict[str, Any] = yaml.safe_load((ROOT / "deploy/helm/gpt-jobs/values.yaml").read_text(encoding="utf-8"))
    defaults = values["monitoring"]["prometheusRule"]["thresholds"]
    changed = {
        name: {key: f"{index}{number}s" if key in {"for", "window"} else (700 + 10 * index + number) / 1000
               for number, key in enumerate(keys, 1)}
        for index, (name, keys) in enumerate(defaults.items(), 1)
    }  # fmt: skip
    rendered = yaml.safe_dump(rule_groups(changed))
    for name, keys in changed.items():
        for key, value in keys.items():
            assert str(value) in rendered, f"{name}.{key}"


def test_the_dashboards_are_in_the_config_maps_as_they_are() -> None:
    maps = [document for document in monitoring() if document["kind"] == "ConfigMap"]
    held = {name: text for config_map in maps for name, text in config_map["data"].items() if name.endswith(".json")}
    assert {name: json.loads(text) for name, text in held.items()} == {
        f"{name}.json": dashboard(name) for name in NAMES
    }


def test_promtool_finds_no_fault_in_the_rules(tmp_path: Path) -> None:
    subprocess.run(["bash", "stack/prometheus.sh"], cwd=ROOT, check=True)
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule_groups()), encoding="utf-8")
    checked = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
