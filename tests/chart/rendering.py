"""The chart as Helm renders it, with stand-ins for the three dependencies.

The real dependencies are not in the repository. `stubs/` has charts with their names, versions, the helper
templates that ours calls, and Services of the names that theirs have.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "gpt-jobs"
STUBS = Path(__file__).parent / "stubs"

#: Servers elsewhere in place of all three dependencies.
EXTERNAL: dict[str, Any] = {
    **{server: {"enabled": False} for server in ("rabbitmq", "redis", "mongodb")},
    "external": {
        "rabbitmq": {"existingSecret": "broker", "management": {"existingSecret": "broker"}},
        "redis": {"existingSecret": "cache"},
        "mongodb": {"existingSecret": "store"},
    },
}


class RenderError(Exception):
    """Helm refuses the values; the message is Helm's."""


def render(
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "x",
    namespace: str = "ns",
    values_files: Sequence[Path] = (),
) -> list[dict[str, Any]]:
    """The manifests, hooks included; `values` overlay the files, which overlay values.yaml."""
    return documents_in(render_sources(values, release=release, namespace=namespace, values_files=values_files))


def documents_in(sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """The manifests, without the notes."""
    texts = (text for path, text in sources.items() if text.strip() and not path.endswith("NOTES.txt"))
    documents = (yaml.load_all(text, yaml.CSafeLoader) for text in texts)
    return [document for several in documents for document in several if document]


def render_sources(
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "x",
    namespace: str = "ns",
    values_files: Sequence[Path] = (),
    chart: Path | None = None,
) -> dict[str, str]:
    """What each template becomes, by its path."""
    merged: dict[str, Any] = {}
    for path in values_files:
        merged = overlaid(merged, yaml.safe_load(path.read_text(encoding="utf-8")))
    merged = overlaid(merged, values or {})
    try:
        with helm_python.Chart.load(chart or with_stubs()) as loaded:
            loaded.validate_schema(merged)
            return loaded.render(merged, name=release, namespace=namespace)
    except helm_python.HelmError as error:
        raise RenderError(str(error)) from error


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm lays values over values: mappings are merged, everything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = overlaid(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


@cache
def with_stubs() -> Path:
    """A copy of the chart, with stub dependencies, made once."""
    directory = Path(tempfile.mkdtemp(prefix="gpt-jobs-chart-"))
    atexit.register(shutil.rmtree, directory)
    return copy_with_stubs(directory)


def copy_with_stubs(directory: Path) -> Path:
    """A copy of the chart in `directory`, with stub dependencies."""
    chart = Path(shutil.copytree(CHART, directory / "gpt-jobs", ignore=shutil.ignore_patterns("charts")))
    for stub in ("rabbitmq", "redis", "mongodb"):
        shutil.copytree(STUBS / stub, chart / "charts" / stub)
        shutil.copy(STUBS / "_common.tpl", chart / "charts" / stub / "templates")
    return chart
