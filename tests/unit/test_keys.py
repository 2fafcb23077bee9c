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


def test_a_refused_key_rests() -> None:
    keys = pool(Clock(), "a", "b", "c")
    keys.rest("b")
    assert sorted(keys.candidates()) == ["a", "c"]


def test_a_rested_key_is_tried_again() -> None:
    clock = Clock()
    keys = pool(clock, "a", "b")
    keys.rest("b")
    clock.now += 59.9
    assert keys.candidates() == ["a"]
    clock.now += 0.1
    assert sorted(keys.candidates()) == ["a", "b"]


def test_when_all_rest_the_one_whose_rest_ends_first_is_tried() -> None:
    clock = Clock()
    keys = pool(clock, "a", "b", "c")
    for key in "bca":
        keys.rest(key)
        clock.now += 1
    assert keys.candidates() == ["b"]


def test_an_only_key_is_always_tried() -> None:
    keys = pool(Clock(), "a")
    keys.rest("a")
    assert keys.candidates() == ["a"]
