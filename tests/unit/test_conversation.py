"""What of a conversation goes to the model: the newest turns that fit, whole, behind one system message."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from common.prompts import ChatMessage, Options
from common.store.conversations import Earlier
from common.turns import Said
from gpt_worker import tokens
from gpt_worker.conversation import ANSWER_TOKENS, MESSAGE_TOKENS, budget_of, continued

PLENTY = 1_000_000
#: One token in the tables of OpenAI's newer models, and six bytes.
WORD = " hello"


def own(text: str, system: str | None = None) -> list[ChatMessage]:
    asked = [ChatMessage(role="user", content=text)]
    return asked if system is None else [ChatMessage(role="system", content=system), *asked]


def turn(text: str, answer: str | None = "fine", system: str | None = None) -> Earlier:
    messages = [Said(role="user", content=text)]
    return Earlier(messages if system is None else [Said(role="system", content=system), *messages], answer)


async def texts(prompt: list[ChatMessage], turns: Sequence[Earlier], budget: int = PLENTY) -> list[str]:
    return [message.content for message in await continued(prompt, turns, budget)]


async def test_earlier_turns_go_before_the_prompt_oldest_first() -> None:
    sent = await continued(own("third"), [turn("second", "two"), turn("first", "one")], PLENTY)

    assert [(message.role, message.content) for message in sent] == [
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
        ("assistant", "two"),
        ("user", "third"),
    ]


async def test_without_earlier_turns_the_prompt_is_as_it_was() -> None:
    prompt = own("first", "be brief")
    assert await continued(prompt, [], PLENTY) == prompt


async def test_the_own_system_message_is_the_only_one() -> None:
    turns = [turn("second", system="be long"), turn("first", system="be kind")]
    assert await texts(own("third", "be brief"), turns) == ["be brief", "first", "fine", "second", "fine", "third"]


async def test_without_one_of_its_own_it_has_the_oldest_of_the_conversation() -> None:
    turns = [turn("third", system="be long"), turn("second", system="be kind"), turn("first")]
    sent = await texts(own("fourth"), turns)
    assert (sent[0], sent.count("be long")) == ("be kind", 0)


async def test_the_oldest_turns_are_left_out_until_the_rest_fits() -> None:
    turns = [turn(WORD * 100, str(number)) for number in range(9, 0, -1)]
    # The prompt, and three turns of 100 words and an answer of one token each.
    budget = (1 + MESSAGE_TOKENS) + 3 * (101 + 2 * MESSAGE_TOKENS)

    for spare, kept in ((0, ["7", "8", "9"]), (-1, ["8", "9"])):
        sent = await continued(own("now"), turns, budget + spare)
        assert [message.content for message in sent if message.role == "assistant"] == kept
        assert sent[-1].content == "now"


async def test_what_a_turn_leaves_free_is_not_filled_with_an_older_one() -> None:
    turns = [turn("short"), turn(WORD * 1000), turn("short too")]
    assert await texts(own("now"), turns, 100) == ["short", "fine", "now"]


async def test_the_system_message_stays_when_turns_are_left_out() -> None:
    turns = [turn(WORD * 1000), turn("first", system="be kind")]
    assert await texts(own("now"), turns, 100) == ["be kind", "now"]


async def test_the_own_prompt_is_never_cut() -> None:
    asked = WORD * 1000
    assert await texts(own(asked, "be brief"), [turn("first")], 10) == ["be brief", asked]
    assert await texts(own(asked), [turn("first", system="be kind")], 10) == [asked]
    assert await texts(own(asked), [turn("first", system="be kind")], -5000) == [asked]


async def test_a_turn_of_which_not_all_was_read_ends_the_conversation() -> None:
    turns = [turn("third"), turn("second", answer=None, system="be kind"), turn("first")]
    assert await texts(own("fourth"), turns) == ["be kind", "third", "fine", "fourth"]


def test_the_answer_has_its_share() -> None:
    assert budget_of(8192, Options()) == 8192 - ANSWER_TOKENS
    assert budget_of(8192, Options(max_tokens=100)) == 8092


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("hello world", 2), (WORD * 50_000, 50_000), ("你好", 1), ("\x00\U0001f600", 2)],
    ids=["nothing", "words", "300 kB", "Chinese", "odd"],
)
async def test_tokens_are_those_of_the_model(text: str, expected: int) -> None:
    counted = await tokens.count(text, PLENTY)
    # A word that is cut in two, at the edge of a piece, may count for more.
    assert expected <= counted <= expected + 2 * (len(text) // tokens.PIECE_CHARS)


async def test_counting_ends_where_it_is_too_much() -> None:
    counted = await tokens.count(WORD * 1_000_000, 1000)
    assert 1000 < counted <= 1000 + tokens.PIECE_CHARS


def test_a_worker_without_long_conversations_does_not_load_the_tables() -> None:
    program = (
        "import asyncio, sys\n"
        "from common.prompts import ChatMessage\n"
        "from common.store.conversations import Earlier\n"
        "from common.turns import Said\n"
        "from gpt_worker import app, conversation\n"
        "own, turns = [ChatMessage(role='user', content='b')], [Earlier([Said(role='user', content='a')], 'c')]\n"
        "assert len(asyncio.run(conversation.continued(own, turns, 100))) == 3\n"
        "print([name for name in sys.modules if name.startswith('rs_bpe')])\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"
