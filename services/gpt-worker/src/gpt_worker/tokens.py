"""Counts the tokens of texts, as OpenAI's newer models see them: the one place that imports rs_bpe.

Its tables are in the package, so that nothing is downloaded. They take half a second and 70 MB: a worker whose
conversations are short enough to be known to fit never loads them. docs/adr/0022-follow-up-questions.md.
"""

import asyncio
from functools import cache
from typing import Protocol

#: Characters counted at a time; the library lets nothing else run meanwhile.
PIECE_CHARS = 16_000


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


async def count(text: str, most: int) -> int:
    """How many tokens the text has, or more than `most` without a look at the rest."""
    return await asyncio.to_thread(_count, text, most)


def _count(text: str, most: int) -> int:
    encoding, tokens = _encoding(), 0
    for start in range(0, len(text), PIECE_CHARS):
        # A word that is cut in two only ever counts for more.
        tokens += encoding.count(text[start : start + PIECE_CHARS])
        if tokens > most:
            break
    return tokens


@cache
def _encoding() -> _Encoding:
    from rs_bpe.bpe import openai  # noqa: PLC0415 (only where it is needed)

    encoding: _Encoding = openai.o200k_base()
    return encoding
