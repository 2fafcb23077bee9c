"""How the pods are started, watched, stopped, and what they may not do."""

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from gpt_worker.settings import WorkerSettings
from result_reader.app import SHUTDOWN_S
from tests.chart.found import COMPONENTS, container, of_kind, pod, variables
from tests.chart.matrix import CASES, Case
from tests.chart.rendering import EXTERNAL, overlaid, render

EVERY_POD = [*((component, "Deployment") for component in COMPONENTS), ("broker-policy", "Job"), ("test", "Pod")]


AS_IT_COMES = CASES["as it comes"]


@pytest.mark.parametrize(("component", "kind"), EVERY_POD)
def test_no_pod_has_more_rights_than_it_needs(component: str, kind: str) -> None:
    spec = pod(AS_IT_COMES.documents, component, kind)
    assert spec["serviceAccountName"] == f"x-gpt-jobs-{component}"
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
    assert spec["securityContext"] == {**user, "seccompProfile": {"type": "RuntimeDefault"}}
    (only,) = spec["containers"]
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert only["resources"]["requests"]
    assert only["resources"]["limits"].keys() == {"memory"}


def test_no_policy_is_set_where_no_management_api_is_named() -> None:
    documents = render(overlaid(EXTERNAL, {"external": {"rabbitmq": {"management": {"existingSecret": ""}}}}))
    assert not of_kind(documents, "Job")
    assert "broker-policy" not in of_kind(documents, "ServiceAccount")


def test_the_policy_is_set_after_every_change() -> None:
    job = of_kind(AS_IT_COMES.documents, "Job")["broker-policy"]
    hooks = job["metadata"]["annotations"]["helm.sh/hook"].split(",")
    assert hooks == ["post-install", "post-upgrade", "post-rollback"]
    told = variables(AS_IT_COMES.documents, "broker-policy", "Job")
    assert told["MANAGEMENT_URL"]["value"] == "http://gpt:$(RABBITMQ_PASSWORD)@x-rabbitmq.ns.svc:15672"
    assert (told["POLICY_MAX_LENGTH"]["value"], told["POLICY_DELIVERY_LIMIT"]["value"]) == ("10000", "20")


def test_service_accounts_have_no_tokens() -> None:
    accounts = of_kind(render(), "ServiceAccount")
    assert accounts.keys() == {component for component, _ in EVERY_POD}
    assert not any(account["automountServiceAccountToken"] for account in accounts.values())


@pytest.mark.parametrize("component", COMPONENTS)
def test_probes_are_split(component: str) -> None:
    only = container(AS_IT_COMES.documents, component)
    paths = {probe: only[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert all(only[probe]["httpGet"]["port"] == "admin" for probe in paths)


def test_ports() -> None:
    documents = render()
    ports = {
        component: [p["containerPort"] for p in container(documents, component)["ports"]] for component in COMPONENTS
    }
    assert ports == {"gateway": [8080, 9090], "gpt-worker": [9090], "result-reader": [8080, 9090]}
    services = of_kind([d for d in documents if "helm.sh/chart" in d["metadata"]["labels"]], "Service")
    assert services.keys() == {"gateway", "result-reader"}


def grace(documents: list[dict[str, Any]], component: str) -> int:
    seconds: int = pod(documents, component)["terminationGracePeriodSeconds"]
    return seconds


@pytest.mark.parametrize(("timeout", "expected"), [(300, 330), (60, 90), (60.5, 91), (86400, 86430)])
def test_a_worker_may_finish_a_call(timeout: float, expected: int) -> None:
    documents = render({"settings": {"JOB_TIMEOUT_S": timeout}})
    assert grace(documents, "gpt-worker") == expected
    settings = WorkerSettings.model_construct(job_timeout_s=timeout)
    assert expected > settings.drain_s + 5


def test_a_worker_s_own_timeout_counts() -> None:
    documents = render({"worker": {"settings": {"JOB_TIMEOUT_S": 1000}}})
    assert grace(documents, "gpt-worker") == 1030
    assert variables(documents, "broker-policy", "Job")["JOB_TIMEOUT_S"]["value"] == "1000"


@pytest.mark.parametrize(("broker", "cache"), [(5, 0.5), (60, 2.25)])
def test_a_gateway_may_finish_its_answers(broker: float, cache: float) -> None:
    documents = render({"settings": {"BROKER_TIMEOUT_S": broker, "CACHE_TIMEOUT_S": cache}})
    settings = GatewaySettings.model_construct(broker_timeout_s=broker, cache_timeout_s=cache)
    pause = container(documents, "gateway")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause == 5
    assert grace(documents, "gateway") >= pause + settings.longest_answer_s + 5


def test_a_reader_may_finish_its_answers() -> None:
    documents = render({"reader": {"preStopSeconds": 10}})
    assert container(documents, "result-reader")["lifecycle"]["preStop"]["sleep"]["seconds"] == 10
    assert grace(documents, "result-reader") > 10 + SHUTDOWN_S


def test_only_those_that_serve_wait_before_they_stop() -> None:
    documents = render({"gateway": {"preStopSeconds": 0}})
    assert "lifecycle" not in container(documents, "gpt-worker")
    assert "lifecycle" not in container(documents, "gateway")


def test_budgets_and_spreading() -> None:
    documents = render(values_files=CASES["production"].files)
    for component, budget in of_kind(
        [d for d in documents if "helm.sh/chart" in d["metadata"]["labels"]], "PodDisruptionBudget"
    ).items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        labels = budget["spec"]["selector"]["matchLabels"]
        constraints = pod(documents, component)["topologySpreadConstraints"]
        assert [constraint["labelSelector"]["matchLabels"] for constraint in constraints] == [labels, labels]
        assert all(constraint["matchLabelKeys"] == ["pod-template-hash"] for constraint in constraints)


def test_nothing_overlays_something() -> None:
    """False, 0 and what is empty count as much as any other value of a service."""
    something = {
        "disruptionBudget": {"enabled": True},
        "image": {"registry": "registry.example.com"},
        "preStopSeconds": 9,
        "priorityClassName": "high",
        "spreadOver": ["zone"],
    }
    nothing = {
        "disruptionBudget": {"enabled": False},
        "image": {"registry": ""},
        "preStopSeconds": 0,
        "priorityClassName": "",
        "spreadOver": [],
    }
    documents = render({"defaults": something, "worker": nothing, "settings": {"MAX_QUEUE_DEPTH": None}})
    spec = pod(documents, "gpt-worker")
    assert "gpt-worker" not in of_kind(documents, "PodDisruptionBudget")
    assert container(documents, "gpt-worker")["image"].startswith("gpt-jobs/")
    assert "lifecycle" not in container(documents, "gpt-worker")
    assert not spec.keys() & {"priorityClassName", "topologySpreadConstraints"}
    assert pod(documents, "gateway")["priorityClassName"] == "high"
    assert "MAX_QUEUE_DEPTH" not in variables(documents, "gateway")
    assert "POLICY_MAX_LENGTH" not in variables(documents, "broker-policy", "Job")


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_selectors_select(case: Case) -> None:
    documents = case.documents
    for deployment in of_kind(documents, "Deployment").values():
        selected = deployment["spec"]["selector"]["matchLabels"].items()
        assert selected <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_images() -> None:
    digest = "sha256:" + "0" * 64
    documents = render(
        {
            "global": {"imageRegistry": "registry.example.com/"},
            "worker": {"image": {"digest": digest}},
            "reader": {"image": {"registry": "other.example.com", "tag": "2"}},
        }
    )
    images = {component: container(documents, component)["image"] for component in COMPONENTS}
    assert images == {
        "gateway": "registry.example.com/gpt-jobs/gateway:0.1.0",
        "gpt-worker": f"registry.example.com/gpt-jobs/gpt-worker@{digest}",
        "result-reader": "other.example.com/gpt-jobs/result-reader:2",
    }
    assert container(documents, "broker-policy", "Job")["image"] == images["gpt-worker"]
    assert container(documents, "test", "Pod")["image"] == images["gateway"]


def test_what_the_test_runs_is_python() -> None:
    (program,) = container(render(), "test", "Pod")["args"]
    compile(program, "ask.py", "exec")
    assert Path("deploy/helm/gpt-jobs/files/ask.py").read_text(encoding="utf-8").strip() == program.strip()
