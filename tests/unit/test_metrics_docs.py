"""docs/operations.md has every metric with its labels, and no other."""

import re
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from common import metrics

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(gpt_jobs_[a-z_]+)` \| (.*?) \|", re.MULTILINE)


def exported(metric: MetricWrapperBase) -> str:
    """The name as it is scraped."""
    return f"{metric._name}_total" if isinstance(metric, Counter) else metric._name


def test_every_metric_is_there_with_its_labels_and_no_other() -> None:
    documented = {name: tuple(re.findall(r"`([a-z_]+)`", labels)) for name, labels in ROW.findall(PAGE)}
    known = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    assert documented == {exported(metric): tuple(metric._labelnames) for metric in known}


def test_every_metric_that_the_text_names_exists() -> None:
    known = {exported(value) for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)}
    assert set(re.findall(r"gpt_jobs_[a-z_]+", PAGE)) <= known | {"gpt_jobs_"}
