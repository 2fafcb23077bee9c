"""Ids that carry their own proof: whose they are and when they were minted."""

import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import JobIds, is_foreign, unverified_time

IDS = JobIds(["first-key", "second-key"])
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
CLIENTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SECONDS = st.integers(0, 2**48 - 1).map(lambda milliseconds: milliseconds / 1000)


def raw(job_id: str) -> bytes:
    return base64.b32decode(job_id.removeprefix("job_"))


def test_an_id_is_a_prefix_and_the_base32_of_twenty_bytes() -> None:
    job_id = IDS.mint()
    assert re.fullmatch(r"job_[A-Z2-7]{32}", job_id)
    assert len(raw(job_id)) == 20


def test_the_first_six_bytes_are_milliseconds() -> None:
    assert int.from_bytes(raw(IDS.mint(now=1_700_000_000.123))[:6]) == 1_700_000_000_123


def test_ids_of_the_same_moment_differ() -> None:
    assert len({IDS.mint(now=1.0) for _ in range(1000)}) == 1000


def test_the_proof_is_the_hmac_of_what_is_before_it_and_the_clients_name() -> None:
    document = raw(IDS.mint("alice"))
    expected = hmac.new(b"first-key", document[:14] + b"alice", hashlib.sha256).digest()
    assert document[14:] == expected[:6]


@given(client=CLIENTS, now=SECONDS)
def test_what_was_minted_is_recognised_with_its_time(client: str, now: float) -> None:
    assert IDS.minted_at(IDS.mint(client, now), client) == pytest.approx(now, abs=0.002)


def test_any_other_character_in_any_place_is_found_out() -> None:
    job_id = IDS.mint("alice")
    for place in range(len("job_"), len(job_id)):
        for other in ALPHABET.replace(job_id[place], ""):
            forged = job_id[:place] + other + job_id[place + 1 :]
            assert IDS.minted_at(forged, "alice") is None, forged


@given(owner=CLIENTS, other=CLIENTS)
def test_an_id_is_no_id_for_another_client(owner: str, other: str) -> None:
    assert (IDS.minted_at(IDS.mint(owner), other) is None) == (owner != other)


def test_an_older_key_in_the_list_still_verifies() -> None:
    assert IDS.minted_at(JobIds(["second-key"]).mint(now=5.0)) == 5.0


def test_the_first_key_signs() -> None:
    job_id = IDS.mint()
    assert JobIds(["first-key"]).minted_at(job_id) is not None
    assert JobIds(["second-key"]).minted_at(job_id) is None


def test_a_key_that_was_taken_off_the_list_verifies_no_more() -> None:
    assert IDS.minted_at(JobIds(["third-key"]).mint()) is None


def test_without_a_key_nothing_can_be_minted() -> None:
    with pytest.raises(ValueError, match="key"):
        JobIds([])


@pytest.mark.parametrize(
    "form", ["{lower}", "{id}\n", " {id}", "{id}A", "{id}=", "{short}", "{bare}", "JOB_{bare}", "job_", ""]
)
def test_another_spelling_of_an_id_is_no_id(form: str) -> None:
    job_id = IDS.mint()
    spelling = form.format(id=job_id, lower=job_id.lower(), short=job_id[:-1], bare=job_id.removeprefix("job_"))
    assert IDS.minted_at(spelling) is None
    assert unverified_time(spelling) is None


@given(st.text(max_size=40))
def test_no_text_makes_the_check_fail(text: str) -> None:
    assert IDS.minted_at(text) is None
    assert IDS.minted_at("job_" + text) is None


def test_the_time_can_be_read_without_a_key() -> None:
    assert unverified_time(IDS.mint(now=12.5)) == 12.5


@pytest.mark.parametrize("job_id", ["a", "42", "order:17", "A.b_c-d:e", "x" * 128, "job", "jobs_1"])
def test_a_foreign_id_is_one_that_a_publisher_may_bring(job_id: str) -> None:
    assert is_foreign(job_id)


@pytest.mark.parametrize(
    "job_id", ["", "x" * 129, "a b", "a/b", "é", "a\n", "a,b", "job_1", pytest.param(IDS.mint(), id="minted")]
)
def test_what_is_malformed_or_looks_like_ours_is_not_foreign(job_id: str) -> None:
    assert not is_foreign(job_id)
