"""Continues a conversation: what was said before goes before the prompt, as much of it as the context takes."""

from collections.abc import Iterable, Sequence
from itertools import chain, takewhile

from common.cache import Cache
from common.errors import CacheUnavailable, ErrorCode, ServiceError, StoreUnavailable
from common.jobs import Record, Status
from common.prompts import ChatMessage, Options
from common.store import Store
from common.store.conversations import Earlier, Standing
from common.turns import Said, Turn
from gpt_worker import tokens
from gpt_worker.reading import Job
from gpt_worker.settings import WorkerSettings

Prompt = Sequence[ChatMessage]

#: Tokens kept free for an answer that has no `max_tokens`.
ANSWER_TOKENS = 1024
#: Tokens that a message costs beside its text.
MESSAGE_TOKENS = 4
#: Bytes of the store's documents for each token of the budget; more of a conversation is not read.
BYTES_OF_TOKEN = 16


class Conversation:
    """Puts the earlier turns of a job's conversation before its prompt."""

    def __init__(self, settings: WorkerSettings, cache: Cache, store: Store) -> None:
        self._context_tokens = settings.context_tokens
        self._cache = cache
        self._store = store

    async def prompt_of(self, job: Job) -> list[ChatMessage]:
        """What the model is to be sent.

        Raises StoreUnavailable, and ServiceError `parent_not_found` or `parent_not_finished`.
        """
        parent_id = job.options.parent_id
        if parent_id is None:
            return job.prompt
        budget = budget_of(self._context_tokens, job.options)
        conversation = await self._store.conversations.until(parent_id, max(0, budget) * BYTES_OF_TOKEN)
        if conversation.standing is Standing.OPEN:
            return await continued(job.prompt, conversation.turns, budget)
        if conversation.standing is not Standing.CLOSED and await self._is_on_its_way(parent_id):
            raise StoreUnavailable
        is_unfinished = conversation.standing is Standing.UNFINISHED
        raise ServiceError(ErrorCode.PARENT_NOT_FINISHED if is_unfinished else ErrorCode.PARENT_NOT_FOUND)

    async def _is_on_its_way(self, parent_id: str) -> bool:
        """Whether the parent was answered while the store was away, and has still to be brought there."""
        try:
            cached = await self._cache.get(parent_id)
        except CacheUnavailable:
            return True
        return cached is not None and cached.is_terminal and Record.decode(cached.body).status is Status.COMPLETED


def turn_of(job: Job, record: Record | None, ttl_s: float) -> Turn | None:
    """The job's own part of its conversation, which can be continued for `ttl_s`; None if it was not completed."""
    if record is None or record.completed_at is None or record.status is not Status.COMPLETED:
        return None
    messages = [Said(role=message.role, content=message.content) for message in job.prompt]
    return Turn(parent_id=job.options.parent_id, messages=messages, until=record.completed_at + ttl_s)


def budget_of(context_tokens: int, options: Options) -> int:
    """The tokens that a prompt may have for the answer to fit beside it."""
    return context_tokens - (options.max_tokens or ANSWER_TOKENS)


async def continued(own: list[ChatMessage], turns: Sequence[Earlier], budget: int) -> list[ChatMessage]:
    """The job's own prompt after as many of the newest turns as fit with it, oldest first.

    The system message is the job's own, else the oldest of the conversation, and goes first. The job's own prompt
    is whole, whatever its size; a system message of an earlier turn is left out only if not even that fits beside it.
    """
    system = [message for message in own if message.role == "system"]
    inherited: Prompt = [] if system else _oldest_system(turns)
    earlier: Sequence[Prompt] = [
        _said(turn, turn.answer) for turn in takewhile(lambda turn: turn.answer is not None, turns)
    ]
    if len(earlier) < len(turns) or _most_tokens(chain(own, inherited, *earlier)) > budget:
        inherited, earlier = await _trimmed(own, inherited, earlier, budget)
    asked = [message for message in own if message.role != "system"]
    return [*system, *inherited, *chain.from_iterable(reversed(earlier)), *asked]


async def _trimmed(
    own: Prompt, inherited: Prompt, earlier: Sequence[Prompt], budget: int
) -> tuple[Prompt, Sequence[Prompt]]:
    """What fits into the budget beside the job's own prompt: the system message first, then turns, newest first."""
    left = await _left(budget, own)
    beside = await _left(left, inherited)
    inherited, left = (inherited, beside) if beside >= 0 else ([], left)
    for number, turn in enumerate(earlier):
        left = await _left(left, turn)
        if left < 0:
            return inherited, earlier[:number]
    return inherited, earlier


def _oldest_system(turns: Sequence[Earlier]) -> list[ChatMessage]:
    of_each = ([_message(said) for said in turn.messages if said.role == "system"] for turn in reversed(turns))
    return next((messages for messages in of_each if messages), [])


def _said(turn: Earlier, answer: str | None) -> Prompt:
    """A turn without its system messages."""
    said = (*turn.messages, Said(role="assistant", content=answer or ""))
    return [_message(one) for one in said if one.role != "system"]


def _message(said: Said) -> ChatMessage:
    # An answer may be longer than what a client may send, or empty.
    return ChatMessage.model_construct(role=said.role, content=said.content)


def _most_tokens(messages: Iterable[ChatMessage]) -> int:
    """More tokens than this they cannot have, for each is a byte at least; what surely fits need not be counted."""
    return sum(MESSAGE_TOKENS + len(message.content.encode()) for message in messages)


async def _left(budget: int, messages: Prompt) -> int:
    """What the messages leave of the budget; below 0 if they do not fit, and it may be more by which they do not."""
    for message in messages:
        if budget < 0:
            break
        budget -= MESSAGE_TOKENS + await tokens.count(message.content, budget)
    return budget
