"""The pods of the three services and what is around them."""

from tests.chart.rendering import EXTERNAL, render


def test_each_service_has_a_deployment() -> None:
    names = {document["metadata"]["name"] for document in render(EXTERNAL) if document["kind"] == "Deployment"}
    assert names == {"x-gpt-jobs-gateway", "x-gpt-jobs-gpt-worker", "x-gpt-jobs-result-reader"}
