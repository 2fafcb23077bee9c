"""How tests of the chart find an object among the manifests."""

from collections.abc import Sequence
from typing import Any

from tests.chart.checks import Document

COMPONENTS = {"gateway": "gateway", "gpt-worker": "worker", "result-reader": "reader"}


def of_kind(documents: Sequence[Document], kind: str) -> dict[str, Document]:
    """The objects of a kind, by the component that they are of."""
    found = [document for document in documents if document["kind"] == kind]
    return {document["metadata"]["labels"].get("app.kubernetes.io/component", ""): document for document in found}


def pod(documents: Sequence[Document], component: str, kind: str = "Deployment") -> dict[str, Any]:
    """The spec of a component's pods."""
    spec: dict[str, Any] = of_kind(documents, kind)[component]["spec"]
    return spec["template"]["spec"] if "template" in spec else spec


def container(documents: Sequence[Document], component: str, kind: str = "Deployment") -> dict[str, Any]:
    """The only container of a component's pods."""
    (only,) = pod(documents, component, kind)["containers"]
    found: dict[str, Any] = only
    return found


def variables(documents: Sequence[Document], component: str, kind: str = "Deployment") -> dict[str, dict[str, Any]]:
    """Its environment, by name; each name must be there once."""
    listed = container(documents, component, kind)["env"]
    by_name = {variable["name"]: variable for variable in listed}
    assert len(by_name) == len(listed)
    return by_name
