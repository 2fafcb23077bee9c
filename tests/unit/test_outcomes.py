"""The table of outcomes, row by row: a change of it must be meant."""

import pytest

from gpt_worker.outcomes import ACTIONS, Destination, Outcome, Then

#   outcome             send_to  save   reply  release  then
TABLE = """
    completed           -        save   reply  -        acknowledge
    failed              -        save   reply  -        acknowledge
    deadline_exceeded   -        save   reply  -        acknowledge
    exhausted           dead     save   reply  -        acknowledge
    invalid             dead     save   reply  -        acknowledge
    cancelled           -        save   reply  -        acknowledge
    already_finished    -        save   reply  -        acknowledge
    withdrawn           -        -      -      -        acknowledge
    deleted             -        -      -      -        acknowledge
    leased              wait     -      -      -        acknowledge
    early               wait     -      -      -        acknowledge
    transient           wait     -      -      release  acknowledge
    postponed           wait     -      -      release  acknowledge
    renewed             jobs     -      -      -        acknowledge
    interrupted         -        -      -      release  give_back
    broken              dead     save   reply  -        acknowledge
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_done(row: list[str]) -> None:
    outcome, send_to, save, reply, release, then = row
    action = ACTIONS[Outcome(outcome)]
    assert action.save == (save == "save")
    assert action.reply == (reply == "reply")
    assert action.send_to == (None if send_to == "-" else Destination(send_to))
    assert action.release == (release == "release")
    assert action.then == Then(then)


def test_every_outcome_is_in_the_table() -> None:
    assert {row[0] for row in ROWS} == set(Outcome) == set(ACTIONS)


def test_nobody_is_told_what_is_not_saved() -> None:
    assert all(action.save for action in ACTIONS.values() if action.reply)


def test_a_message_that_is_acknowledged_has_been_answered_or_sent_on_unless_nobody_was_promised_an_answer() -> None:
    for outcome, action in ACTIONS.items():
        if action.then is Then.ACKNOWLEDGE and outcome not in (Outcome.WITHDRAWN, Outcome.DELETED):
            assert action.save or action.send_to, outcome


def test_a_message_that_is_given_back_is_not_sent_on_as_well() -> None:
    assert not any(action.send_to for action in ACTIONS.values() if action.then is Then.GIVE_BACK)
