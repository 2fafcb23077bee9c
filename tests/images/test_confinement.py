"""What a running container is allowed to do, seen from inside and from the host."""

from pathlib import Path

import pytest

from tests.images.release import Container

NO_CAPABILITY = "0" * 16
READ_OWN_STATUS = "print(open('/proc/1/status').read())"
WRITE = """
import pathlib
for path in {paths!r}:
    try:
        pathlib.Path(path, "probe").write_text("x")
    except OSError as error:
        print(error.strerror)
    else:
        print("written")
"""


@pytest.fixture(params=["gateway", "gpt-worker", "result-reader"])
def container(request: pytest.FixtureRequest, containers: dict[str, Container]) -> Container:
    """Each of the three."""
    return containers[request.param]


def test_it_has_no_rights_and_can_gain_none(container: Container) -> None:
    inside = _fields(container.run("python", "-c", READ_OWN_STATUS))
    outside = _fields(Path(f"/proc/{container.host_pid}/status").read_text(encoding="utf-8"))

    for status in (inside, outside):
        assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
        assert status["Groups"].split() == ["10001"]
        assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {NO_CAPABILITY}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"


def test_the_service_itself_is_process_1(container: Container) -> None:
    package = container.name.rpartition("-")[0].replace("-", "_")

    assert container.run("cat", "/proc/1/cmdline").split("\0")[:3] == ["python", "-m", package]
    assert (Path(f"/proc/{container.host_pid}/exe").readlink().name).startswith("python3")


def test_it_can_write_to_tmp_and_nowhere_else(container: Container) -> None:
    closed = ["/", "/venv", "/var/tmp", "/run", "/etc", "/root", "/home"]

    outcomes = container.run("python", "-c", WRITE.format(paths=[*closed, "/tmp"])).splitlines()

    assert set(outcomes[:-1]) <= {"Read-only file system", "Permission denied"}
    assert outcomes[-1] == "written"
    root = next(line for line in container.run("cat", "/proc/mounts").splitlines() if line.split()[1] == "/")
    assert "ro" in root.split()[3].split(",")


def test_its_memory_has_the_limit_of_the_manifest(container: Container) -> None:
    limit = container.pod.options[container.pod.options.index("--memory") + 1]
    files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]  # version 2, version 1

    in_bytes = container.run("sh", "-c", f"cat {' '.join(files)} 2>/dev/null || true").strip()

    assert int(in_bytes) == int(limit.removesuffix("Mi")) * 1024 * 1024


def test_only_the_worker_has_the_keys_of_the_model(containers: dict[str, Container]) -> None:
    with_key = [
        service
        for service, container in containers.items()
        if b"sk-test" in Path(f"/proc/{container.host_pid}/environ").read_bytes()
    ]

    assert with_key == ["gpt-worker"]


def _fields(status: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in status.splitlines())
    return {name: value.strip() for name, _, value in pairs}
