"""Who may talk with whom, as the network policies have it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.checks import Document
from tests.chart.found import COMPONENTS, of_kind
from tests.chart.matrix import CASES, KEDA
from tests.chart.rendering import EXTERNAL, render

OURS = {"app.kubernetes.io/name": "gpt-jobs", "app.kubernetes.io/instance": "x"}
DNS = "kube-system"


def policies(documents: list[Document]) -> dict[str, dict[str, Any]]:
    return {component: found["spec"] for component, found in of_kind(documents, "NetworkPolicy").items()}


def reached(rules: list[dict[str, Any]], side: str) -> set[tuple[str, int]]:
    """Who is let through at which port, each peer by the name that a person would give it."""
    return {
        (who(peer), port["port"])
        for rule in rules
        for peer in rule[side]
        for port in rule.get("ports", [{"port": 0}])
    }


def who(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    if "namespaceSelector" in peer:
        return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
    labels = peer["podSelector"]["matchLabels"]
    assert labels["app.kubernetes.io/instance"] == "x"
    return str(labels.get("app.kubernetes.io/component") or labels["app.kubernetes.io/name"])


def without_dns(reached_there: set[tuple[str, int]]) -> set[tuple[str, int]]:
    return {(name, port) for name, port in reached_there if port != 53}


def egress(documents: list[Document], component: str) -> set[tuple[str, int]]:
    return without_dns(reached(policies(documents)[component].get("egress", []), "to"))


def ingress(documents: list[Document], component: str) -> set[tuple[str, int]]:
    return reached(policies(documents)[component].get("ingress", []), "from")


def test_every_pod_of_ours_is_closed_both_ways() -> None:
    closed = policies(render())["default-deny"]
    assert closed == {"podSelector": {"matchLabels": OURS}, "policyTypes": ["Ingress", "Egress"]}


def test_each_policy_is_for_the_pods_of_its_component() -> None:
    found = policies(render())
    for component in [*COMPONENTS, "broker-policy", "test"]:
        assert found[component]["podSelector"]["matchLabels"] == {**OURS, "app.kubernetes.io/component": component}
        assert found[component]["policyTypes"] == ["Ingress", "Egress"]


def test_what_each_may_reach() -> None:
    documents = render()
    upstream = {("0.0.0.0/0", 443), ("::/0", 443)}
    assert egress(documents, "gateway") == {("rabbitmq", 5672), ("redis", 6379), ("mongodb", 27017)}
    assert egress(documents, "gpt-worker") == {("rabbitmq", 5672), ("redis", 6379), ("mongodb", 27017)} | upstream
    assert egress(documents, "result-reader") == {("redis", 6379), ("mongodb", 27017)}
    assert egress(documents, "broker-policy") == {("rabbitmq", 15672)}
    assert egress(documents, "test") == {("gateway", 8080), ("result-reader", 8080)}


def test_everybody_may_ask_for_names() -> None:
    for component, policy in policies(render()).items():
        if component != "default-deny":
            assert {(DNS, 53)} <= reached(policy["egress"], "to")


def test_workers_reach_no_private_address() -> None:
    rules = policies(render())["gpt-worker"]["egress"]
    (blocks,) = [rule["to"] for rule in rules if {"port": 443} in rule["ports"]]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(blocks[0]["ipBlock"]["except"])


def test_who_may_come() -> None:
    documents = render()
    for component in ("gateway", "result-reader"):
        assert ingress(documents, component) == {("test", 8080), ("ingress-nginx", 8080), ("monitoring", 9090)}
    assert ingress(documents, "gpt-worker") == {("monitoring", 9090)}
    assert ingress(documents, "broker-policy") == set()
    assert ingress(documents, "test") == set()


def test_who_may_come_to_the_servers() -> None:
    documents = render()
    assert ingress(documents, "to-rabbitmq") == {
        *{("rabbitmq", 0), ("gateway", 5672), ("gpt-worker", 5672), ("broker-policy", 15672), ("monitoring", 9419)}
    }
    assert ingress(documents, "to-redis") == {
        ("redis", 0),
        *((component, 6379) for component in COMPONENTS),
        ("monitoring", 9121),
    }
    assert ingress(documents, "to-mongodb") == {
        ("mongodb", 0),
        *((component, 27017) for component in COMPONENTS),
        ("monitoring", 9216),
    }


def test_keda_may_ask_how_long_the_queue_is() -> None:
    assert ("keda", 15672) in ingress(render(KEDA), "to-rabbitmq")


def test_other_applications_may_publish_where_values_say() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    documents = render({"networkPolicy": {"publishers": [peer], "clients": [peer]}})
    assert ("shop", 5672) in ingress(documents, "to-rabbitmq")
    assert ("shop", 15672) not in ingress(documents, "to-rabbitmq")
    assert ("shop", 8080) in ingress(documents, "gateway")


def test_servers_elsewhere_are_reached_where_values_say() -> None:
    external = {**EXTERNAL["external"], "redis": {"existingSecret": "s", "cidrs": ["10.1.0.0/16"], "ports": [6390]}}
    documents = render({**EXTERNAL, "external": external})
    assert ("10.1.0.0/16", 6390) in egress(documents, "result-reader")
    assert ("0.0.0.0/0", 27017) in egress(documents, "result-reader")
    assert egress(documents, "broker-policy") == {("0.0.0.0/0", port) for port in (443, 15671, 15672)}
    assert "to-redis" not in policies(documents)


def each_rule(documents: list[Document]) -> Iterator[dict[str, Any]]:
    for policy in policies(documents).values():
        yield from [*policy.get("ingress", []), *policy.get("egress", [])]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_no_rule_is_open_to_everybody(case: Any) -> None:
    """A rule without peers, or with none, lets everybody through."""
    assert all(rule.get("from") or rule.get("to") for rule in each_rule(case.documents))


def test_they_can_be_left_out() -> None:
    assert policies(render({"networkPolicy": {"enabled": False}})) == {}
