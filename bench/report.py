"""What a run found, as a table on the screen and in Markdown, as figures.json, and as a chart."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import chart
from bench.figures import Figure, Findings, Goal

HEADER = ("path", "subject", "unit", "median", "spread", "goal", "met")


def write(directory: Path, found: Mapping[str, Findings], broken: Sequence[str], *, rounds: int) -> None:
    """Write all of it into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    text = _markdown(_table(found)) + "".join(f"\nThe benchmark `{name}` broke.\n" for name in broken)
    (directory / "table.md").write_text(text, encoding="utf-8")
    document = {"rounds": rounds, "broken": list(broken), "found": {k: asdict(v) for k, v in found.items()}}
    (directory / "figures.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    chart.draw(directory / "chart.svg", [figure for findings in found.values() for figure in findings.figures])


def show(found: Mapping[str, Findings]) -> None:
    """Print the table."""
    print(_in_columns(_table(found)))


def _table(found: Mapping[str, Findings]) -> list[tuple[str, ...]]:
    return [HEADER, *(row for findings in found.values() for row in _rows(findings))]


def _rows(findings: Findings) -> Iterator[tuple[str, ...]]:
    paths = dict.fromkeys([figure.path for figure in findings.figures] + [goal.path for goal in findings.goals])
    for path in paths:
        yield from (_of_figure(figure) for figure in findings.figures if figure.path == path)
        yield from (_of_goal(goal) for goal in findings.goals if goal.path == path)


def _of_figure(figure: Figure) -> tuple[str, ...]:
    return (figure.path, figure.subject, figure.unit, number(figure.median), f"{figure.spread:.0%}", "", "")


def _of_goal(goal: Goal) -> tuple[str, ...]:
    return (goal.path, "", "", number(goal.value), "", goal.wanted, "yes" if goal.is_met else "NO")


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _in_columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
