"""`python -m common.ids`, for publishers on the broker."""

import subprocess
import sys

import pytest

from common import ids
from common.ids import JobIds


def minted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert ids.main(arguments) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_ID_KEYS", " new-key , old-key ")


def test_it_prints_an_id_signed_with_the_first_key(capsys: pytest.CaptureFixture[str]) -> None:
    (job_id,) = minted(capsys)
    assert JobIds(["new-key"]).minted_at(job_id) is not None


def test_it_prints_as_many_as_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(set(minted(capsys, "--count", "3"))) == 3


def test_an_id_is_for_the_client_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    (job_id,) = minted(capsys, "--client", "alice")
    assert JobIds(["new-key"]).minted_at(job_id, "alice") is not None
    assert JobIds(["new-key"]).minted_at(job_id) is None


@pytest.mark.parametrize("keys", [None, "", " , "])
def test_without_keys_it_says_what_is_missing(
    keys: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JOB_ID_KEYS")
    if keys is not None:
        monkeypatch.setenv("JOB_ID_KEYS", keys)
    assert ids.main([]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "common.ids: JOB_ID_KEYS is missing\n")


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "common.ids"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_a_command() -> None:
    done = run(JOB_ID_KEYS="new-key")
    assert (done.returncode, done.stderr) == (0, "")
    assert JobIds(["new-key"]).minted_at(done.stdout.strip()) is not None


def test_the_command_without_keys_ends_with_status_2() -> None:
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "common.ids: JOB_ID_KEYS is missing\n")
