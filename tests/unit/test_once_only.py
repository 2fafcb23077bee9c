"""Which idempotency keys are taken, and which submissions mean the same."""

from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from common.errors import InvalidRequest
from gateway.once_only import fingerprint, read_key
from gateway.schemas import Submission, read_predict_start

BODY: dict[str, Any] = {"msg": "你好", "options": {"temperature": 1}, "metadata": {"a": "1", "b": "2"}}


def headers(*keys: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict([("idempotency-key", key) for key in keys]))


@pytest.mark.parametrize("key", ["x", " ", "~" * 255, '"8e03978e-40d5-43e8-bc93-6894a57f9324"'])
def test_a_key_is_any_printable_ascii(key: str) -> None:
    assert read_key(headers(key)) == key


def test_there_need_be_no_key() -> None:
    assert read_key(headers()) is None


@pytest.mark.parametrize("keys", [("",), ("x" * 256,), ("a\tb",), ("ü",), ("\udcff",), ("a\n",), ("a", "a")])
def test_other_keys_are_refused(keys: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_key(headers(*keys))
    assert refusal.value.param == "Idempotency-Key"


@pytest.mark.parametrize(
    "same",
    [
        {"metadata": {"b": "2", "a": "1"}, "options": {"temperature": 1.0}, "msg": "你好"},
        BODY | {"options": {"temperature": 1, "model": None}, "deadline_s": None, "messages": None},
    ],
)
def test_the_same_in_other_words_has_the_same_fingerprint(same: dict[str, Any]) -> None:
    assert fingerprint(Submission(**same)) == fingerprint(Submission(**BODY))


@pytest.mark.parametrize(
    "other",
    [
        {"msg": "你好 "},
        {"options": {"temperature": 0.5}},
        {"options": {}},
        {"metadata": {}},
        {"deadline_s": 60},
        {"msg": None, "messages": [{"role": "user", "content": "你好"}]},
    ],
)
def test_any_difference_has_another_fingerprint(other: dict[str, Any]) -> None:
    assert fingerprint(Submission(**BODY | other)) != fingerprint(Submission(**BODY))


def test_the_originals_call_has_one_too() -> None:
    first = read_predict_start('{"gender":"男","birth":"1990-01-31","name":null}'.encode())
    second = read_predict_start('{ "birth":"1990-01-31", "gender":"男" }'.encode())
    assert fingerprint(first) == fingerprint(second)
