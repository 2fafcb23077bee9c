"""The check of the real dependencies finds what is wrong with them; here they are the stubs, made wrong."""

import shutil
from pathlib import Path

import helm_python
import pytest

from tests.chart.check_dependencies import old_images, problems_of, with_dependencies, wrong_versions
from tests.chart.matrix import CASES
from tests.chart.rendering import with_stubs


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    """Three charts in a directory, one of them as an archive."""
    directory = Path(shutil.copytree(with_stubs() / "charts", tmp_path / "charts"))
    helm_python.package(directory / "redis", destination=directory)
    shutil.rmtree(directory / "redis")
    return directory


def test_archives_and_directories_are_taken(charts: Path, tmp_path: Path) -> None:
    chart = with_dependencies(charts, tmp_path)
    assert wrong_versions(chart) == []
    assert problems_of(chart, CASES["as it comes"]) == []


def test_another_version_is_told(charts: Path, tmp_path: Path) -> None:
    path = charts / "mongodb" / "Chart.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("16.5.45", "17.0.0"), encoding="utf-8")
    shutil.rmtree(charts / "rabbitmq")
    problems = wrong_versions(with_dependencies(charts, tmp_path))
    assert problems == [
        "rabbitmq: 16.0.14 is wanted, and it is not there",
        "mongodb: 16.5.45 is wanted, and it is 17.0.0",
    ]


def test_a_service_of_another_name_is_told(charts: Path, tmp_path: Path) -> None:
    path = charts / "rabbitmq" / "templates" / "services.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace('"name" $name', '"name" "other"'), encoding="utf-8")
    problems = problems_of(with_dependencies(charts, tmp_path), CASES["as it comes"])
    assert "Deployment x-gpt-jobs-gateway: AMQP_URL: no Service x-rabbitmq.ns.svc:5672" in problems


def test_an_image_that_is_gone_is_told() -> None:
    pod = {"spec": {"containers": [{"image": "docker.io/bitnami/redis:8.2.1-debian-12-r0"}]}}
    stateful_set = {"kind": "StatefulSet", "metadata": {"name": "x-redis"}, "spec": {"template": pod}}
    assert len(old_images([stateful_set])) == 1
