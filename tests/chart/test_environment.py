"""What the pods are told is what the services read, and all that they must be told."""

import re

import pytest
from pydantic_core import PydanticUndefined

from common.settings import Settings
from gateway.settings import GatewaySettings
from gpt_worker.broker_policy import PolicySettings
from gpt_worker.settings import WorkerSettings
from result_reader.settings import ReaderSettings
from tests.chart.found import variables
from tests.chart.matrix import CASES, Case
from tests.chart.rendering import EXTERNAL, render

SERVICES: dict[str, tuple[str, type[Settings]]] = {
    "gateway": ("Deployment", GatewaySettings),
    "gpt-worker": ("Deployment", WorkerSettings),
    "result-reader": ("Deployment", ReaderSettings),
    "broker-policy": ("Job", PolicySettings),
}
OF_THE_USER = {"HTTPS_PROXY"}


def told(case: Case, component: str) -> dict[str, str]:
    """The environment as the kubelet makes it, with a word in place of each secret."""
    listed = variables(case.documents, component, SERVICES[component][0])
    secret = {name: f"secret{name.replace('_', '')}" for name, each in listed.items() if "valueFrom" in each}
    plain = {name: each["value"] for name, each in listed.items() if "value" in each}
    expanded = {name: re.sub(r"\$\((\w+)\)", lambda found: secret[found[1]], value) for name, value in plain.items()}
    used = {found for value in plain.values() for found in re.findall(r"\$\((\w+)\)", value)}
    return {name: value for name, value in (secret | expanded).items() if name not in used | OF_THE_USER}


@pytest.mark.parametrize("component", SERVICES)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_variable_is_a_setting_and_every_required_setting_a_variable(case: Case, component: str) -> None:
    if component == "broker-policy" and not case.values.get("brokerPolicy", {}).get("enabled", True):
        return
    fields = SERVICES[component][1].model_fields
    names = set(told(case, component))
    required = {name.upper() for name, field in fields.items() if field.default is PydanticUndefined}
    assert names <= {name.upper() for name in fields}
    assert required <= names


@pytest.mark.parametrize("component", SERVICES)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_service_takes_it(monkeypatch: pytest.MonkeyPatch, case: Case, component: str) -> None:
    """A secret that holds a whole URL is not known here; all else is read as the service would."""
    if component == "broker-policy" and not case.values.get("brokerPolicy", {}).get("enabled", True):
        return
    urls = {
        "AMQP_URL": "amqp://h/",
        "REDIS_URL": "redis://h/",
        "MONGO_URL": "mongodb://h/",
        "MANAGEMENT_URL": "http://h",
    }
    for name, value in told(case, component).items():
        is_secret_url = name in urls and "://" not in value
        monkeypatch.setenv(name, urls[name] if is_secret_url else "app:key" if name == "API_KEYS" else value)
    SERVICES[component][1]()


def test_a_number_is_not_written_in_powers_of_ten() -> None:
    documents = render({"settings": {"MAX_QUEUE_DEPTH": 1_000_000}})
    assert variables(documents, "gateway")["MAX_QUEUE_DEPTH"]["value"] == "1000000"
    assert variables(documents, "broker-policy", "Job")["POLICY_MAX_LENGTH"]["value"] == "2000000"


def test_settings_of_one_service_overlay_those_of_all() -> None:
    documents = render({"settings": {"LOG_LEVEL": "ERROR"}, "worker": {"settings": {"LOG_LEVEL": "DEBUG"}}})
    assert variables(documents, "gateway")["LOG_LEVEL"]["value"] == "ERROR"
    assert variables(documents, "gpt-worker")["LOG_LEVEL"]["value"] == "DEBUG"


def test_urls_of_external_servers_come_from_their_secrets() -> None:
    documents = render(EXTERNAL)
    reference = variables(documents, "gpt-worker")["AMQP_URL"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "broker", "key": "amqp-url"}


def test_a_replica_set_is_named_member_by_member() -> None:
    documents = render(CASES["replica set"].values)
    assert variables(documents, "result-reader")["MONGO_URL"]["value"] == (
        "mongodb://gpt:$(MONGO_PASSWORD)@"
        "x-mongodb-0.x-mongodb-headless.ns.svc.cluster.local:27017,"
        "x-mongodb-1.x-mongodb-headless.ns.svc.cluster.local:27017,"
        "x-mongodb-2.x-mongodb-headless.ns.svc.cluster.local:27017/gpt?authSource=gpt&replicaSet=rs0"
    )


def test_a_password_stands_before_what_it_is_put_into() -> None:
    """The kubelet puts in only what comes before."""
    documents = render()
    for component, (kind, _) in SERVICES.items():
        seen: set[str] = set()
        for name, each in variables(documents, component, kind).items():
            assert set(re.findall(r"\$\((\w+)\)", each.get("value", ""))) <= seen
            seen.add(name)
