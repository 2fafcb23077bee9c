"""What a person reads after an installation."""

import pytest

from tests.chart.matrix import CASES, KEDA, Case
from tests.chart.rendering import EXTERNAL, render_sources


def notes(case: Case) -> str:
    sources = render_sources(case.values, release=case.release, values_files=case.files)
    return sources["gpt-jobs/templates/NOTES.txt"]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_they_say_what_to_do_next(case: Case) -> None:
    assert f"helm -n ns test {case.release} --logs" in notes(case)


def test_they_say_how_to_make_the_key_s_secret_and_how_to_scale() -> None:
    text = notes(CASES["as it comes"])
    assert "create secret generic x-openai --from-literal=api-key=sk-" in text
    assert "scale deployment/x-gpt-jobs-gpt-worker --replicas=4" in text


def test_they_warn() -> None:
    text = notes(CASES["as it comes"])
    assert "apiKeys.existingSecret is not set" in text
    assert "frozen" in text
    assert "frozen" not in notes(Case(EXTERNAL))
    assert "brokerPolicy" in notes(CASES["no broker policy"])
    assert "at most 45" in notes(Case(release="a" * 53))
    assert "keda's to say" in notes(Case(KEDA))


def test_they_have_the_public_address() -> None:
    assert "https://gpt-jobs.example.com/v1/jobs" in notes(CASES["production"])
