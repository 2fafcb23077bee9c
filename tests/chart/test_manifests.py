"""The manifests are what Kubernetes takes, with every set of values and for every version that the chart allows."""

import pytest
import yaml

from tests.chart import checks
from tests.chart.matrix import CASES, Case
from tests.chart.rendering import CHART


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_object_is_valid(case: Case) -> None:
    assert checks.schema_problems(case.documents) == []


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_server_that_a_pod_is_told_of_is_a_service(case: Case) -> None:
    assert checks.name_problems(case.documents) == []


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_names_and_labels_are_short_enough_and_nothing_is_there_twice(case: Case) -> None:
    documents = case.documents
    ours = [document for document in documents if "helm.sh/chart" in document["metadata"]["labels"]]
    keys = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(keys) == len(set(keys))
    assert all(len(document["metadata"]["name"]) <= 63 for document in ours if document["kind"] != "Secret")
    assert all(len(value) <= 63 for document in ours for value in document["metadata"]["labels"].values())
    assert all(document["metadata"]["namespace"] == "ns" for document in documents)


def test_the_versions_are_those_that_the_chart_allows() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={checks.VERSIONS[0]}.0-0"
    assert len(checks.VERSIONS) > 5
