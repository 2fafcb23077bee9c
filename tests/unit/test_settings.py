"""A service whose environment is wrong does not start: one line names each wrong variable, and none of its values."""

from collections.abc import Callable

import pytest

from common import settings
from common.settings import ServiceSettings
from gateway.settings import GatewaySettings
from gpt_worker.settings import WorkerSettings
from result_reader.settings import ReaderSettings

SECRET = "hunter2"
COMPLETE = {
    "AMQP_URL": f"amqp://user:{SECRET}@broker/",
    "REDIS_URL": f"redis://:{SECRET}@cache/0",
    "MONGO_URL": f"mongodb://user:{SECRET}@store/",
    "JOB_ID_KEYS": f"{SECRET},{SECRET}-too",
    "OPENAI_API_KEY": SECRET,
}
REQUIRED: list[tuple[type[ServiceSettings], str]] = [
    *((GatewaySettings, name) for name in ("AMQP_URL", "REDIS_URL", "MONGO_URL", "JOB_ID_KEYS")),
    *((WorkerSettings, name) for name in ("AMQP_URL", "REDIS_URL", "MONGO_URL", "OPENAI_API_KEY")),
    *((ReaderSettings, name) for name in ("REDIS_URL", "MONGO_URL", "JOB_ID_KEYS")),
]
Complaint = Callable[..., str]


@pytest.fixture(autouse=True)
def _complete(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*GatewaySettings.model_fields, *WorkerSettings.model_fields, *ReaderSettings.model_fields]:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complaint:
    """What is said of an environment with these changes; None takes a variable away."""

    def _complaint(service: type[ServiceSettings], **changes: str | None) -> str:
        for name, value in changes.items():
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            settings.load(service, "a-service")
        printed = capsys.readouterr()
        assert (end.value.code, printed.out) == (2, "")
        assert printed.err.count("\n") == 1
        assert SECRET not in printed.err
        return printed.err.removeprefix("a-service: cannot start: ").removesuffix("\n")

    return _complaint


@pytest.mark.parametrize("service", [GatewaySettings, WorkerSettings, ReaderSettings])
def test_the_required_variables_are_enough(service: type[ServiceSettings]) -> None:
    assert settings.load(service, "a-service").admin_port == 9090


@pytest.mark.parametrize(("service", "name"), REQUIRED)
def test_a_missing_variable_is_named(complaint: Complaint, service: type[ServiceSettings], name: str) -> None:
    assert complaint(service, **{name: None}) == f"{name} is missing"


def test_all_missing_variables_are_named_in_one_line(complaint: Complaint) -> None:
    said = complaint(GatewaySettings, AMQP_URL=None, REDIS_URL=None, JOB_ID_KEYS=None)
    assert set(said.split("; ")) == {"AMQP_URL is missing", "REDIS_URL is missing", "JOB_ID_KEYS is missing"}


@pytest.mark.parametrize(
    ("service", "name", "value", "said"),
    [
        (GatewaySettings, "AMQP_URL", SECRET, "must be a URL that begins with amqp:// or amqps://"),
        (GatewaySettings, "AMQP_URL", f"http://{SECRET}", "must be a URL that begins with amqp:// or amqps://"),
        (GatewaySettings, "AMQP_URL", "amqp://", "must be a URL that begins with amqp:// or amqps://"),
        (ReaderSettings, "REDIS_URL", SECRET, "must be a URL that begins with redis:// or rediss://"),
        (ReaderSettings, "MONGO_URL", SECRET, "must be a URL that begins with mongodb:// or mongodb+srv://"),
        (WorkerSettings, "OPENAI_BASE_URL", f"ftp://{SECRET}", ""),
        (WorkerSettings, "PREFETCH", SECRET, ""),
        (WorkerSettings, "PREFETCH", "0", ""),
        (WorkerSettings, "PREFETCH", "2.5", ""),
        (WorkerSettings, "JOB_TIMEOUT_S", "0", ""),
        (WorkerSettings, "JOB_TIMEOUT_S", "nan", ""),
        (WorkerSettings, "JOB_DEADLINE_S", "-1", ""),
        (WorkerSettings, "RESULT_STORE_TTL_S", "an hour", ""),
        (WorkerSettings, "RESULT_CACHE_TTL_S", "0", ""),
        (GatewaySettings, "HTTP_PORT", "65536", ""),
        (GatewaySettings, "ADMIN_PORT", SECRET, ""),
        (GatewaySettings, "LOG_LEVEL", "CHATTY", ""),
        (GatewaySettings, "JOB_ID_KEYS", " , ", ""),
        (GatewaySettings, "API_KEYS", ",", ""),
        (GatewaySettings, "API_KEYS", " ", ""),
        (GatewaySettings, "AMQP_URL", f"amqp://u:{SECRET}@h:port/", ""),
        (GatewaySettings, "AMQP_URL", f"amqp://u:{SECRET}@[h/", ""),
        (GatewaySettings, "AMQP_URL", f"amqp://u:{SECRET}@", ""),
        (GatewaySettings, "REDIS_URL", f"redis://:{SECRET}@h:port/0", ""),
        (WorkerSettings, "MONGO_URL", f"mongodb://u:a@{SECRET}@h/", ""),
        (WorkerSettings, "MONGO_URL", f"mongodb://u:{SECRET}@h:port/", ""),
        (WorkerSettings, "RESULT_STORE_TTL_S", "inf", ""),
        (WorkerSettings, "RESULT_CACHE_TTL_S", "inf", ""),
        (WorkerSettings, "RESULT_CACHE_TTL_S", "1e300", ""),
        (WorkerSettings, "BROKER_TIMEOUT_S", "inf", ""),
        (GatewaySettings, "API_KEYS", SECRET, "must be name:key pairs, separated by commas"),
        (GatewaySettings, "API_KEYS", f"alice:,bob:{SECRET}", "must be name:key pairs, separated by commas"),
        (GatewaySettings, "API_KEYS", f":{SECRET}", "must be name:key pairs, separated by commas"),
        (GatewaySettings, "API_KEYS", f"a b:{SECRET}", ""),
        (GatewaySettings, "API_KEYS", f"alice:{SECRET},bob:{SECRET}", "the same key stands there twice"),
        (GatewaySettings, "PREDICT_CLIENT", "a b", ""),
        (GatewaySettings, "PLAYGROUND_RESULTS_URL", "results.example.com", ""),
        (GatewaySettings, "PLAYGROUND_RESULTS_URL", "https://example.com/results", ""),
        (GatewaySettings, "PLAYGROUND_RESULTS_URL", "https://example.com; script-src *", ""),
        (ReaderSettings, "CORS_ORIGINS", "*", ""),
        (ReaderSettings, "CORS_ORIGINS", "https://example.com, null", ""),
        (ReaderSettings, "FOREIGN_IDS", SECRET, ""),
    ],
)
def test_a_malformed_variable_is_named_and_its_value_is_not(
    complaint: Complaint, service: type[ServiceSettings], name: str, value: str, said: str
) -> None:
    assert complaint(service, **{name: value}).startswith(f"{name}: {said}")


def test_the_wrong_ones_are_all_named(complaint: Complaint) -> None:
    said = complaint(WorkerSettings, AMQP_URL=SECRET, MONGO_URL=None, PREFETCH="many")
    assert {part.split(":")[0] for part in said.split("; ")} == {"AMQP_URL", "MONGO_URL is missing", "PREFETCH"}


def test_a_model_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    assert settings.load(WorkerSettings, "a-service").openai_api_key == ()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", " alice:one , bob:two:with:colons, alice:three,")
    read = settings.load(GatewaySettings, "a-service")
    assert [(key.client, key.key.get_secret_value()) for key in read.api_keys] == [
        ("alice", "one"),
        ("bob", "two:with:colons"),
        ("alice", "three"),
    ]
    assert [key.get_secret_value() for key in read.job_id_keys] == [SECRET, f"{SECRET}-too"]


def test_settings_that_are_printed_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", f"alice:{SECRET}")
    for service in (GatewaySettings, WorkerSettings, ReaderSettings):
        read = settings.load(service, "a-service")
        assert SECRET not in f"{read!r} {read} {read.model_dump()} {read.model_dump_json()}"


@pytest.mark.parametrize("name", ["PREFETCH", "OPENAI_BASE_URL", "HTTP_PORT", "LOG_LEVEL"])
def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    for service in (GatewaySettings, WorkerSettings, ReaderSettings):
        settings.load(service, "a-service")


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://h",
        "mongodb://u:p%40@h1:1,h2:2/db?replicaSet=rs0",
        "mongodb+srv://u:p@h/db",
        "mongodb://[::1]:27017/",
        "mongodb://user@h/",
    ],
)
def test_every_kind_of_good_url_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MONGO_URL", url)
    assert settings.load(ReaderSettings, "a-service").mongo_url.get_secret_value() == url


def test_the_log_level_may_be_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert settings.load(ReaderSettings, "a-service").log_level == "DEBUG"
