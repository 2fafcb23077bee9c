"""The figures as bars: a field for each path and unit."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from bench.figures import Figure

BAR_INCHES, FIELD_INCHES, WIDTH_INCHES = 0.3, 0.9, 9.0


def draw(path: Path, figures: Sequence[Figure]) -> None:
    """An SVG that is the same for the same figures."""
    fields: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        fields.setdefault((figure.path, figure.unit), []).append(figure)
    if not fields:
        return
    heights = [FIELD_INCHES + BAR_INCHES * len(field) for field in fields.values()]
    mpl.rcParams |= {"svg.hashsalt": "gpt-jobs", "font.size": 9}
    canvas = Canvas(figsize=(WIDTH_INCHES, sum(heights)), layout="constrained")
    axes = canvas.subplots(len(fields), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, ((title, unit), field) in zip(axes[:, 0], fields.items(), strict=True):
        medians = [figure.median for figure in field]
        lows = [figure.median - min(figure.values) for figure in field]
        highs = [max(figure.values) - figure.median for figure in field]
        colours = ["#2a6f97" if figure.subject.startswith("ours") else "#a9b4bd" for figure in field]
        bars = axis.barh([figure.subject for figure in field], medians, color=colours)
        axis.errorbar(medians, range(len(field)), xerr=[lows, highs], fmt="none", ecolor="#333", capsize=2, lw=0.8)
        axis.bar_label(bars, labels=[f" {median:,.4g}" for median in medians], label_type="edge", padding=4)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        axis.set_title(f"{title}, {unit}", loc="left", fontweight="bold")
        axis.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, format="svg", metadata={"Date": None})
