"""The pool of upstream keys avoids those that the upstream has refused."""

from gpt_worker.keys import KeyPool


class Clock:
    """A clock that is set by hand, in seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def pool(clock: Clock, *keys: str) -> KeyPool:
    return KeyPool(keys, rest_s=60, clock=clock)


def test_every_living_key_is_a_candidate_once() -> None:
    assert sorted(pool(Clock(), "a", "b", "c").candidates()) == ["a", "b", "c"]


def test_each_key_gets_its_share_of_first_tries() -> None:
    keys = pool(Clock(), "a", "b", "c")
    firsts = [keys.candidates()[0] for _ in range(600)]
    assert all(firsts.count(key) > 100 for key in "abc")


def test_a_key_that_was_refused_where_another_was_taken_is_tried_last() -> None:
    keys = pool(Clock(), "a", "b", "c")
    keys.taken("a", refused=["b"])
    for _ in range(50):
        assert sorted(keys.candidates()[:2]) == ["a", "c"]
        assert keys.candidates()[2] == "b"


def test_a_rested_key_is_tried_like_any_other() -> None:
    clock = Clock()
    keys = pool(clock, "a", "b")
    keys.taken("a", refused=["b"])
    clock.now += 59.9
    assert keys.candidates() == ["a", "b"]
    clock.now += 0.1
    assert {keys.candidates()[0] for _ in range(100)} == {"a", "b"}


def test_those_that_rest_are_tried_in_the_order_in_which_their_rest_ends() -> None:
    clock = Clock()
    keys = pool(clock, "a", "b", "c")
    keys.taken("a", refused=["c"])
    clock.now += 1
    keys.taken("a", refused=["b"])
    assert keys.candidates() == ["a", "c", "b"]


def test_a_key_that_is_taken_rests_no_longer() -> None:
    keys = pool(Clock(), "a", "b")
    keys.taken("a", refused=["b"])
    keys.taken("b", refused=["a"])
    assert keys.candidates() == ["b", "a"]
