"""Labels stay few, whatever a client asks for."""

import pytest

from common import metrics
from common.metrics import MAX_MODELS, model_label


@pytest.fixture(autouse=True)
def _no_model_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_seen_models", set())


def test_a_model_is_its_own_label() -> None:
    assert model_label("gpt-4o-mini") == "gpt-4o-mini"


def test_only_the_first_models_have_labels_of_their_own() -> None:
    labels = {model_label(f"model-{number}") for number in range(10 * MAX_MODELS)}
    assert len(labels) == MAX_MODELS + 1
    assert "other" in labels


def test_a_model_that_has_a_label_keeps_it() -> None:
    for number in range(10 * MAX_MODELS):
        model_label(f"model-{number}")
    assert model_label("model-0") == "model-0"
    assert model_label(f"model-{MAX_MODELS}") == "other"
