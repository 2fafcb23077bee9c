"""What is in each image, and what is not."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.playground import PARTS
from stack.program import ROOT
from tests.chart.rendering import EXTERNAL, render
from tests.images.podman import podman, python_in

SERVICES = ["gateway", "gpt-worker", "result-reader"]
DRIVERS = {"aio_pika", "aiormq", "redis", "motor", "pymongo", "bson", "openai", "rs_bpe"}
DRIVERS_OF = {
    "gateway": DRIVERS - {"openai", "rs_bpe"},
    "gpt-worker": DRIVERS,
    "result-reader": {"redis", "motor", "pymongo", "bson"},
}
#: What builds an image and has no business in it, and what belongs to the other services.
NEVER = {"pip", "setuptools", "hatchling", "pytest", "stack", "tests"}
PACKAGES = {"gateway": "gateway", "gpt-worker": "gpt_worker", "result-reader": "result_reader"}

FIND = "import importlib.util, sys; print(*[m for m in {names!r} if importlib.util.find_spec(m)])"
LIST = "import importlib.metadata as m; print(*[d.name for d in m.distributions()])"
LIST_PAGE = "import importlib.resources as r; print(*[f.name for f in r.files('gateway.playground').iterdir()])"
MAY_WRITE = "import os; print(*[p for p, _, _ in os.walk('/venv') if os.access(p, os.W_OK)])"


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each of the three."""
    name: str = request.param
    return name


@pytest.fixture
def image(service: str) -> str:
    """The service's image."""
    return _image(service)


def _image(service: str) -> str:
    """The image that the chart's manifest names."""
    deployments = [manifest for manifest in render(EXTERNAL) if manifest["kind"] == "Deployment"]
    pods = [deployment["spec"]["template"]["spec"]["containers"][0] for deployment in deployments]
    name: str = next(pod["image"] for pod in pods if pod["name"] == service)
    return name


def test_only_its_own_drivers_and_services_can_be_imported(service: str, image: str) -> None:
    asked = sorted(DRIVERS | NEVER | set(PACKAGES.values()))

    found = set(python_in(image, FIND.format(names=asked)).split())

    assert found == DRIVERS_OF[service] | {PACKAGES[service]}


def test_nothing_but_the_locked_requirements_is_installed(service: str, image: str) -> None:
    lock = (ROOT / "requirements" / f"{service}.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))

    installed = {_normal(name) for name in python_in(image, LIST).split()}

    assert {"gpt-jobs-common", f"gpt-jobs-{service}"} <= installed
    assert installed <= locked | {"gpt-jobs-common", f"gpt-jobs-{service}"}


def test_it_starts_as_a_user_who_cannot_change_it(service: str, image: str) -> None:
    config = _inspect(image)["Config"]

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", PACKAGES[service]]
    assert "Cmd" not in config or not config["Cmd"]
    assert python_in(image, MAY_WRITE).strip() == ""


def test_the_gateway_has_the_page() -> None:
    names = set(python_in(_image("gateway"), LIST_PAGE).split())

    assert names >= {"index.html", *PARTS}


def test_its_labels_say_what_it_is(service: str, image: str) -> None:
    labels = _inspect(image)["Labels"]

    said = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert said["title"] == f"gpt-jobs {service}"
    assert said["description"].endswith(".")
    assert said["version"] == image.rpartition(":")[2]
    assert said.get("revision", "") == _revision()
    assert said.get("source") == os.environ.get("SOURCE")
    assert said["base.name"] == os.environ["PYTHON_IMAGE"]


def test_it_is_small_and_the_documents_say_how_small(service: str, image: str) -> None:
    page = (ROOT / "docs" / "images.md").read_text(encoding="utf-8")
    said = next(re.finditer(rf"^\| `gpt-jobs/{service}` \| (\d+) MB", page, re.MULTILINE))[1]

    above_the_base = (_inspect(image)["Size"] - _inspect(os.environ["PYTHON_IMAGE"])["Size"]) / 1_000_000

    assert above_the_base < 200
    # Another base may have another Python, for which the packages differ a little.
    assert abs(above_the_base - int(said)) < 0.1 * above_the_base


def test_every_dockerfile_is_one_of_these() -> None:
    assert sorted(path.parent.name for path in Path(ROOT / "services").glob("*/Dockerfile")) == SERVICES


def _inspect(image: str) -> dict[str, Any]:
    (details,) = json.loads(podman("image", "inspect", image))
    found: dict[str, Any] = details
    return found


def _revision() -> str:
    """The commit that is checked out, as the images should have it; nothing outside of a clone."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
