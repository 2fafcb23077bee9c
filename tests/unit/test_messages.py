"""The forms in which a job may come by the broker, and what is read from each."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from common import messages
from common.ids import JobIds
from common.jobs import Record
from common.messages import HeaderValue, JobMessage, Message
from common.prompts import ChatMessage, Options
from common.turns import Said, Turn

MINTED = JobIds(["a-key"]).mint()


def read(document: Any, **properties: Any) -> JobMessage:
    return messages.decode(Message(json.dumps(document).encode(), **properties))


def test_the_published_code_sends_an_id_and_a_message() -> None:
    job = read({"id": "17", "msg": "hello"})
    assert (job.job_id, job.request.msg, job.payload) == ("17", "hello", None)
    assert job.request.options == Options()


def test_the_articles_publisher_sends_a_req_id_and_options() -> None:
    job = read({"reqId": "17", "msg": "hello", "options": {"systemMessage": "be brief"}})
    assert (job.job_id, job.request.msg, job.request.options.system) == ("17", "hello", "be brief")


def test_a_payload_is_kept_as_it_came() -> None:
    payload = {"tag": "fortune", "extra": {"nested": [1, "二", None]}}
    assert read({"id": "17", "msg": "hello", "options": {}, "payload": payload}).payload == payload


def test_a_conversation() -> None:
    document = {"id": "17", "messages": [{"role": "system", "content": "brief"}, {"role": "user", "content": "hi"}]}
    assert read(document).request.messages == [
        ChatMessage(role="system", content="brief"),
        ChatMessage(role="user", content="hi"),
    ]


def test_a_template_with_its_inputs_and_metadata() -> None:
    request = read({"id": "17", "template": "fortune", "inputs": {"a": 1}, "metadata": {"k": "v"}}).request
    assert (request.template, request.inputs, request.metadata) == ("fortune", {"a": 1}, {"k": "v"})


def test_what_the_gateway_encodes_is_what_a_worker_decodes() -> None:
    prompt = [ChatMessage(role="user", content="你好 👋 \x00 \u2028")]
    body = messages.encode(MINTED, prompt, Options(model="m", system="in the prompt already", top_p=0.5), {"k": "v"})
    job = messages.decode(Message(body))
    assert (job.job_id, job.request.messages, job.request.metadata) == (MINTED, prompt, {"k": "v"})
    assert job.request.options == Options(model="m", top_p=0.5)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"systemMessage": "be brief"}, {"system": "be brief"}),
        ({"timeoutMs": 1500}, {"timeout_s": 1.5}),
        ({"completionParams": {"model": "gpt-4", "temperature": 0.3}}, {"model": "gpt-4", "temperature": 0.3}),
        ({"completionParams": {"top_p": 1, "max_tokens": 9}}, {"top_p": 1, "max_tokens": 9}),
        ({"completionParams": {"presence_penalty": -2, "frequency_penalty": 2}},
         {"presence_penalty": -2, "frequency_penalty": 2}),
        ({"completionParams": {"stop": "\n"}}, {"stop": ["\n"]}),
        ({"completionParams": {"stop": ["a", "b"]}}, {"stop": ["a", "b"]}),
        ({"parentMessageId": "an-id"}, {"parent_id": "an-id"}),
        ({"conversationId": "another"}, {}),
        ({"stream": False}, {"stream": False}),
        ({"completionParams": {"logit_bias": {}, "n": 3}}, {}),
    ],
)  # fmt: skip
def test_the_originals_option_names_are_understood(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert read({"id": "17", "msg": "hello", "options": theirs}).request.options == Options(**ours)


def test_our_own_option_names_win() -> None:
    options = {
        "systemMessage": "theirs",
        "system": "ours",
        "timeoutMs": 1000,
        "parentMessageId": "theirs",
        "parent_id": "ours",
        "timeout_s": 7,
        "completionParams": {"temperature": 0, "top_p": 0.1},
        "temperature": 1,
    }
    read_options = read({"id": "17", "msg": "hello", "options": options}).request.options
    assert read_options == Options(system="ours", timeout_s=7, temperature=1, top_p=0.1, parent_id="ours")


@pytest.mark.parametrize("name", ["reqId", "options", "payload", "metadata", "messages", "template", "inputs"])
def test_null_is_absent(name: str) -> None:
    assert read({"id": "17", "msg": "hello", name: None}) == read({"id": "17", "msg": "hello"})


def test_null_among_the_options_is_absent() -> None:
    options = {"model": None, "systemMessage": None, "timeoutMs": None, "completionParams": None}
    assert read({"id": "17", "msg": "hello", "options": options}).request.options == Options()


def test_unknown_fields_are_ignored_so_that_an_older_worker_serves_a_newer_publisher() -> None:
    assert read({"id": "17", "msg": "hello", "tomorrow": 1}) == read({"id": "17", "msg": "hello"})


def test_without_an_id_in_the_body_the_messages_own_counts() -> None:
    assert read({"msg": "hello"}, message_id="17").job_id == "17"
    assert read({"id": None, "reqId": None, "msg": "hello"}, message_id="17").job_id == "17"


def test_an_id_in_the_body_wins_over_the_messages_own() -> None:
    assert read({"reqId": "17", "msg": "hello"}, message_id="18").job_id == "17"


@pytest.mark.parametrize("job_id", ["a", "A.b_c-d:e", "0", "x" * 128, pytest.param(MINTED, id="minted")])
def test_ids_that_a_publisher_may_bring(job_id: str) -> None:
    assert read({"id": job_id, "reqId": job_id, "msg": "hello"}).job_id == job_id


def test_a_copy_is_the_whole_message() -> None:
    headers: dict[str, HeaderValue] = {"text": "é", "int": 1, "float": 1.0, "bool": True, "none": None}
    message = Message('{"msg": "占卜 \\ud83d"}'.encode(), "id", "correlation", "reply", 1.5, headers)
    copy = messages.unpack(messages.pack(message))
    assert copy == message
    assert {name: type(value) for name, value in copy.headers.items()} == {
        name: type(value) for name, value in headers.items()
    }


def test_a_copy_says_only_what_there_is() -> None:
    assert messages.unpack(messages.pack(Message(b"{}"))) == Message(b"{}")


@pytest.mark.parametrize("copy", [b"", b"{", b"[]", b"{}", b'{"body": 5}', b"\xff"])
def test_what_is_no_copy_is_said_to_be_none(copy: bytes) -> None:
    with pytest.raises(ValidationError):
        messages.unpack(copy)


def test_what_is_kept_for_the_store_has_its_turn_beside_the_record() -> None:
    record = Record.queued("17", 1, 2).completed("fine", "m", None, 60)
    turn = Turn(parent_id="16", messages=[Said(role="user", content='a "b" 你')], until=3)

    kept = messages.keeping(record, Message(b""), turn)

    assert (messages.unsaved_record(kept), messages.unsaved_turn(kept)) == (record, turn)
    again = messages.keeping(record, kept)
    assert (messages.unsaved_record(again), messages.unsaved_turn(again)) == (record, None)
