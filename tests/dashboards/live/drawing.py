"""Draws a dashboard about as Grafana does: its panels where they lie, with lines from a real Prometheus."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

COLOURS = (
    "#56a64b",
    "#e0b400",
    "#3274d9",
    "#ff780a",
    "#e02f44",
    "#8f3bb8",
    "#1f9fa8",
    "#73675c",
    "#c15c17",
    "#5794f2",
)
INK, FAINT, LINES, PAPER = "#24292e", "#6e747b", "#e4e7eb", "#f4f5f5"
#: Inches of a unit of Grafana's grid.
WIDE, HIGH = 0.5, 0.31
DPI = 110
GAP = 0.06
BINARY = (("G", 2**30), ("M", 2**20), ("k", 2**10))

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, and its values over time."""

    name: str
    times: list[float]
    values: list[float]

    @property
    def last(self) -> float:
        """The newest value that is a number."""
        return next((value for value in reversed(self.values) if math.isfinite(value)), math.nan)


def named(legend: str, labels: dict[str, str]) -> str:
    """The legend with the labels filled in."""
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), legend).strip()


def draw(panels: list[dict[str, Any]], lines: dict[int, list[Line]], path: Path) -> None:
    """The panels into a PNG, rows' headings included; `lines` are by the panels' ids."""
    top = min(panel["gridPos"]["y"] for panel in panels)
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure((24 * WIDE, (bottom - top) * HIGH), dpi=DPI, facecolor=PAPER)
    for panel in panels:
        place = panel["gridPos"]
        x, y = place["x"] * WIDE, (bottom - place["y"] - place["h"]) * HIGH
        box = (x + GAP, y + GAP, place["w"] * WIDE - 2 * GAP, place["h"] * HIGH - 2 * GAP)
        if panel["type"] == "row":
            _text(figure, panel["title"], x + 2 * GAP, y + HIGH / 2, size=11, weight="bold", va="center")
            continue
        _frame(figure, box)
        _text(figure, panel["title"], box[0] + 0.1, box[1] + box[3] - 0.2, size=8.5, weight="bold")
        (_stat if panel["type"] == "stat" else _graph)(figure, box, panel, lines[panel["id"]])
    figure.savefig(path, facecolor=PAPER)
    _make_small(path)


def _make_small(path: Path) -> None:
    """A palette is enough for so few colours."""
    from PIL import Image  # noqa: PLC0415 (it comes with matplotlib)

    with Image.open(path) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def _text(figure: Figure, text: str, x: float, y: float, *, size: float, **look: Any) -> None:
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, text, **{"fontsize": size, "color": INK, **look})


def _axes(figure: Figure, box: Box) -> Axes:
    width, height = figure.get_size_inches()
    return figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))


def _frame(figure: Figure, box: Box) -> None:
    axes = _axes(figure, box)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LINES)


def _stat(figure: Figure, box: Box, panel: dict[str, Any], lines: list[Line]) -> None:
    x, y, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    line = lines[0] if lines else Line("", [], [])
    colour = _colour_of(line.last, defaults["thresholds"]["steps"])
    text = with_unit(line.last, defaults["unit"])
    _text(
        figure, text, x + width / 2, y + 0.52 * height, size=15, color=colour, ha="center", va="center", weight="bold"
    )
    if len(line.values) > 1:
        axes = _axes(figure, (x + 0.02, y + 0.02, width - 0.04, 0.28 * height))
        axes.set_axis_off()
        axes.fill_between(line.times, line.values, color=colour, alpha=0.2, linewidth=0)
        axes.plot(line.times, line.values, color=colour, linewidth=0.8)
        axes.margins(x=0)
        axes.set_ylim(bottom=0)


def _colour_of(value: float, steps: list[dict[str, Any]]) -> str:
    named_colours = {"green": "#37872d", "orange": "#fa6400", "red": "#c4162a"}
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return named_colours[reached[-1]]


def _graph(figure: Figure, box: Box, panel: dict[str, Any], lines: list[Line]) -> None:
    x, y, width, height = box
    columns = _columns(width, lines)
    legend = 0.12 + 0.16 * -(-len(lines) // columns)
    size = (width - 0.74, height - legend - 0.52)
    axes = _axes(figure, (x + 0.62, y + legend + 0.22, *size))
    if panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal" and lines:
        _stacked(axes, lines)
    else:
        for number, line in enumerate(lines):
            axes.plot(line.times, line.values, color=COLOURS[number % len(COLOURS)], linewidth=1.1, label=line.name)
    _scale(axes, panel["fieldConfig"]["defaults"])
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.5 / size[0], -0.22 / size[1]), ncols=columns, fontsize=6.5,
        frameon=False, labelcolor=INK, borderaxespad=0, handlelength=1.2, columnspacing=1.2, labelspacing=0.25,
    )  # fmt: skip


def _columns(width: float, lines: list[Line]) -> int:
    longest = max((len(line.name) for line in lines), default=1)
    return max(1, int((width - 0.2) / (0.34 + 0.052 * longest)))


def _scale(axes: Axes, defaults: dict[str, Any]) -> None:
    unit, highest = defaults["unit"], float(axes.dataLim.y1)
    top = defaults.get("max") or (highest if math.isfinite(highest) and highest > 0 else 1.0)
    axes.set_ylim(0, 1.05 * top)
    axes.set_yticks(_ticks(top, unit))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: with_unit(value, unit)))
    axes.set_xlim(right=0)
    axes.margins(x=0)
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} min" if round(value) else "now"))
    axes.grid(color=LINES, linewidth=0.6)
    axes.tick_params(labelsize=6.5, colors=FAINT, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _ticks(top: float, unit: str) -> list[float]:
    """Round numbers of the unit, at most five."""
    size = next((size for _, size in BINARY if top >= size), 1) if unit == "bytes" else 1
    whole = unit == "short" and top >= 1
    ticks = MaxNLocator(4, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top / size)
    return [tick * size for tick in ticks if tick * size <= 1.05 * top]


def _stacked(axes: Axes, lines: list[Line]) -> None:
    times = sorted({time for line in lines for time in line.times})
    heights = []
    for line in lines:
        at = dict(zip(line.times, line.values, strict=True))
        heights.append([at.get(time, 0.0) if math.isfinite(at.get(time, 0.0)) else 0.0 for time in times])
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(lines))]
    axes.stackplot(times, heights, labels=[line.name for line in lines], colors=colours, alpha=0.55, linewidth=0)


def with_unit(value: float, unit: str) -> str:
    """The number as Grafana shows it, nearly."""
    if not math.isfinite(value):
        return "–"
    if unit == "percentunit":
        return f"{_short(100 * value)} %"
    if unit == "bytes":
        for prefix, size in BINARY:
            if value >= size:
                return f"{_short(value / size)} {prefix}iB"
        return f"{_short(value)} B"
    if unit == "s":
        return f"{_short(1000 * value)} ms" if 0 < value < 1 else f"{_short(value)} s"
    suffix = unit.removeprefix("suffix:") if unit.startswith("suffix:") else ""
    return f"{_short(value / 1000)}k{suffix}" if value >= 10_000 else f"{_short(value)}{suffix}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"
