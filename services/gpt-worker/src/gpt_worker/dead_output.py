"""What the commands for dead letters print: results on standard output, everything else on standard error."""

import io
import json
import logging
import sys
from collections import Counter
from dataclasses import asdict, fields

import structlog

from gpt_worker.dead_letters import DeadLetter, Summary

_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


def only_ours() -> None:
    """Let nothing be printed but by us: a library's warning would stand in the middle of a table."""
    logging.getLogger().addHandler(logging.NullHandler())
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print a result."""
    sys.stdout.write(_printable(text) + "\n")


def tell(text: str) -> None:
    """Print what is not a result."""
    sys.stderr.write(_printable(text) + "\n")


def as_json(queue: str, summaries: list[Summary], more: int) -> str:
    """The list for programs."""
    document = {
        "queue": queue,
        "count": len(summaries) + more,
        "by_code": _by_code(summaries),
        "oldest_age_s": _oldest(summaries),
        "messages": [asdict(summary) for summary in summaries],
    }
    return json.dumps(document, indent=2)


def as_table(queue: str, summaries: list[Summary], more: int) -> str:
    """The list for people, with the counts below it."""
    if not summaries:
        return f"{queue} is empty"
    rows = [tuple(field.name.removesuffix("_s") for field in fields(Summary))]
    rows += [(s.id, _line(s.code), str(s.attempts), _age(s.age_s), str(s.size), _line(s.reason)) for s in summaries]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = ", ".join(f"{count} {code}" for code, count in _by_code(summaries).items())
    lines += ["", f"{len(summaries)} in {queue}, the oldest for {_age(_oldest(summaries))}: {counts}"]
    if more:
        lines.append(f"and {more} more behind them")
    return "\n".join(lines)


def full(letter: DeadLetter) -> str:
    """The message as it lies there."""
    message = letter.message
    properties = {
        "message_id": message.message_id,
        "correlation_id": message.correlation_id,
        "reply_to": message.reply_to,
        "timestamp": message.timestamp,
        **message.headers,
    }
    lines = [f"{name}: {value}" for name, value in properties.items() if value is not None]
    return "\n".join([f"id: {letter.id}", *lines, "", message.body.decode(errors="backslashreplace")])


def _by_code(summaries: list[Summary]) -> dict[str, int]:
    return dict(Counter(summary.code for summary in summaries).most_common())


def _oldest(summaries: list[Summary]) -> int | None:
    return max((summary.age_s for summary in summaries if summary.age_s is not None), default=None)


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "?"
    return next((f"{seconds // size} {name}" for size, name in _AGES if seconds >= size), f"{seconds} s")


def _line(text: str) -> str:
    """Anybody may have written the headers, with ends of lines too."""
    return " ".join(text.split())


def _printable(text: str) -> str:
    """The text without what would drive a terminal; inside JSON, the escapes stand for the same characters."""
    return "".join(char if char.isprintable() or char in "\n\t" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"
