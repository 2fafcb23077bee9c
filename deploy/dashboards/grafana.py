"""What Grafana, 10 and newer, wants of a dashboard, as JSON: variables, rows, panels and where they lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24

#: Which series are of the chosen releases, and of any server in the chosen namespaces.
OURS = 'namespace=~"$namespace",app_kubernetes_io_instance=~"$release"'
THEIRS = 'namespace=~"$namespace"'


@dataclass(frozen=True)
class Series:
    """A query, in which each pair of braces gets the labels of the chosen releases, and the name of its lines."""

    expr: str
    legend: str
    labels: str = OURS

    @property
    def query(self) -> str:
        """The query as Grafana gets it."""
        return self.expr.replace("{", "{" + self.labels + ",").replace(",}", "}")


@dataclass(frozen=True)
class Panel:
    """A picture: what it shows, in which unit, and how large. A `stat` is a number with a line behind it."""

    title: str
    description: str
    series: tuple[Series, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    most: float | None = None
    #: From which values on a number is orange and red.
    orange: float | None = None
    red: float | None = None

    @property
    def height(self) -> int:
        """In Grafana's units."""
        return 4 if self.kind == "stat" else 8


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A page of rows; `uid` is its address for ever."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]


def number(title: str, description: str, expr: str, unit: str = "short", **look: Any) -> Panel:
    """One number of our own."""
    return Panel(title, description, (Series(expr, title),), unit, kind="stat", **{"width": 3, **look})


def quantiles(histogram: str) -> tuple[Series, ...]:
    """The middle, what one of 20 and what one of 100 exceeds; `histogram` as in `name_bucket{labels}`."""
    rates = f"sum by (le) (rate({histogram}[$__rate_interval]))"
    return tuple(Series(f"histogram_quantile({q}, {rates})", f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))


def as_json(dashboard: Dashboard) -> Json:
    """The file that Grafana reads."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["gpt-jobs"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [_link_to_the_others()],
        "templating": {"list": _variables()},
        "panels": list(_placed(dashboard.rows)),
    }


def _link_to_the_others() -> Json:
    return {"type": "dashboards", "title": "gpt-jobs", "tags": ["gpt-jobs"], "asDropdown": True, "includeVars": True,
            "keepTime": True, "icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}  # fmt: skip


def _variables() -> list[Json]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
         "hide": 0, "includeAll": False, "multi": False, "regex": "", "options": [], "current": {}},
        _values_of("namespace", "Namespace", "label_values(gpt_jobs_ready, namespace)"),
        _values_of("release", "Release",
                   'label_values(gpt_jobs_ready{namespace=~"$namespace"}, app_kubernetes_io_instance)'),
    ]  # fmt: skip


def _values_of(name: str, label: str, query: str) -> Json:
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "refresh": 2, "hide": 0,
            "query": {"query": query, "refId": name}, "definition": query, "regex": "", "sort": 1, "multi": True,
            "includeAll": True, "allValue": ".*", "options": [], "current": everything}  # fmt: skip


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    """The panels from left to right and from top to bottom, numbered."""
    y, number = 0, 0
    for row in rows:
        number += 1
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "collapsed": False, "panels": []}
        x, y, lowest = 0, y + 1, y + 1
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, lowest
            number += 1
            yield _panel(panel, number, {"h": panel.height, "w": panel.width, "x": x, "y": y})
            x, lowest = x + panel.width, max(lowest, y + panel.height)
        y = lowest


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> Json:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "expr": series.query,
         "legendFormat": series.legend, "range": True, "instant": False, "editorMode": "code"}
        for index, series in enumerate(panel.series)
    ]  # fmt: skip
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": dict(place),
        "targets": targets,
        "fieldConfig": {"defaults": _look(panel), "overrides": []},
        "options": _stat_options() if panel.kind == "stat" else _graph_options(),
    }


def _look(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": "orange", "value": panel.orange}] if panel.orange is not None else []
    steps += [{"color": "red", "value": panel.red}] if panel.red is not None else []
    look: Json = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.most is not None:
        look["max"] = panel.most
    if panel.kind == "stat":
        # A share of nothing, and nothing at all.
        dash = {"type": "special", "options": {"match": "null+nan", "result": {"text": "–", "index": 0}}}
        return {**look, "color": {"mode": "thresholds"}, "noValue": "–", "mappings": [dash]}
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    lines = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if panel.stacked else 5, "showPoints": "never",
             "spanNulls": False, "stacking": stacking}  # fmt: skip
    return {**look, "color": {"mode": "palette-classic"}, "custom": lines}


def _stat_options() -> Json:
    return {"colorMode": "value", "graphMode": "area", "textMode": "value", "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}  # fmt: skip


def _graph_options() -> Json:
    return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"}}  # fmt: skip
