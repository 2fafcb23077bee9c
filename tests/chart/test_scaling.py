"""Who says how many pods there are."""

from typing import Any

import pytest

from tests.chart.found import COMPONENTS, of_kind
from tests.chart.matrix import KEDA
from tests.chart.rendering import EXTERNAL, overlaid, render

MANY = {"replicas": 3}


def replicas(values: dict[str, Any]) -> dict[str, int | None]:
    return {name: found["spec"].get("replicas") for name, found in of_kind(render(values), "Deployment").items()}


def test_nobody_says_it_unless_asked() -> None:
    assert set(replicas({}).values()) == {None}


def test_what_is_asked_for_is_said_of_that_service_only() -> None:
    assert replicas({"worker": MANY}) == {"gateway": None, "gpt-worker": 3, "result-reader": None}
    assert replicas({"defaults": {"replicas": 2}, "worker": {"replicas": 0}}) == {
        "gateway": 2,
        "gpt-worker": 0,
        "result-reader": 2,
    }


@pytest.mark.parametrize("mode", ["hpa", "keda"])
def test_an_autoscaler_is_not_contradicted(mode: str) -> None:
    assert replicas({"worker": {**MANY, "autoscaling": {"mode": mode}}})["gpt-worker"] is None


def test_there_is_no_autoscaler_unless_asked_for() -> None:
    documents = render()
    assert not of_kind(documents, "HorizontalPodAutoscaler")
    assert not of_kind(documents, "ScaledObject")


def test_hpa() -> None:
    documents = render({"defaults": {"autoscaling": {"mode": "hpa", "minReplicas": 2, "maxReplicas": 5}}})
    scalers = of_kind(documents, "HorizontalPodAutoscaler")
    assert scalers.keys() == COMPONENTS.keys()
    for component, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == f"x-gpt-jobs-{component}"
        assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 5)


@pytest.mark.parametrize(("timeout", "window"), [(10, 300), (600, 630), (86400, 3600)])
def test_scaling_down_is_slower_than_a_job(timeout: int, window: int) -> None:
    documents = render(overlaid(KEDA, {"settings": {"JOB_TIMEOUT_S": timeout}}))
    spec = of_kind(documents, "ScaledObject")["gpt-worker"]["spec"]
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == window
    assert spec["cooldownPeriod"] > timeout + 30


def test_keda_asks_the_management_api() -> None:
    documents = render(overlaid(KEDA, {"settings": {"PREFETCH": 7, "AMQP_QUEUE": "jobs"}}))
    spec = of_kind(documents, "ScaledObject")["gpt-worker"]["spec"]
    assert spec["scaleTargetRef"] == {"name": "x-gpt-jobs-gpt-worker"}
    (trigger,) = spec["triggers"]
    assert trigger["type"] == "rabbitmq"
    assert trigger["metadata"] == {
        "protocol": "http",
        "host": "http://x-rabbitmq.ns.svc:15672/",
        "vhostName": "/",
        "queueName": "jobs",
        "mode": "QueueLength",
        "value": "7",
        "activationValue": "0",
    }
    authentication = of_kind(documents, "TriggerAuthentication")["gpt-worker"]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    keys = {each["parameter"]: each["key"] for each in authentication["spec"]["secretTargetRef"]}
    (secret,) = {each["name"] for each in authentication["spec"]["secretTargetRef"]}
    assert keys.items() == {"username": "rabbitmq-username", "password": "rabbitmq-password"}.items()
    made = [
        document for document in documents if document["kind"] == "Secret" and document["metadata"]["name"] == secret
    ]
    assert set(keys.values()) <= made[0]["data"].keys()


def test_keda_with_a_broker_elsewhere() -> None:
    documents = render({**EXTERNAL, **KEDA})
    (trigger,) = of_kind(documents, "ScaledObject")["gpt-worker"]["spec"]["triggers"]
    assert "host" not in trigger["metadata"]
    (parameter,) = of_kind(documents, "TriggerAuthentication")["gpt-worker"]["spec"]["secretTargetRef"]
    assert parameter == {"parameter": "host", "name": "broker", "key": "management-url"}
