"""How the public paths come to the services."""

from tests.chart.found import of_kind
from tests.chart.matrix import CASES, ROUTE
from tests.chart.rendering import render

PATHS = {
    "/v1/jobs": "x-gpt-jobs-gateway",
    "/predict/start": "x-gpt-jobs-gateway",
    "/v1/results": "x-gpt-jobs-result-reader",
    "/predict/query": "x-gpt-jobs-result-reader",
}


def test_there_is_none_unless_asked_for() -> None:
    kinds = {document["kind"] for document in render()}
    assert not kinds & {"Ingress", "HTTPRoute"}


def test_ingress() -> None:
    values = {
        "enabled": True,
        "className": "traefik",
        "host": "gpt.example.com",
        "tlsSecret": "{{ .Release.Name }}-tls",
        "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
    }
    (ingress,) = of_kind(render({"ingress": values}), "Ingress").values()
    assert ingress["metadata"]["annotations"] == values["annotations"]
    assert ingress["spec"]["ingressClassName"] == "traefik"
    assert ingress["spec"]["tls"] == [{"hosts": ["gpt.example.com"], "secretName": "x-tls"}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "gpt.example.com"
    assert {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]} == PATHS
    assert {path["pathType"] for path in rule["http"]["paths"]} == {"Prefix"}
    assert {path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]} == {"http"}


def test_an_ingress_without_a_certificate_or_a_class() -> None:
    (ingress,) = of_kind(render({"ingress": {"enabled": True, "host": "h"}}), "Ingress").values()
    assert ingress["spec"].keys() == {"rules"}


def test_route() -> None:
    (route,) = of_kind(render(ROUTE), "HTTPRoute").values()
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["spec"]["parentRefs"] == [{"name": "public"}]
    assert route["spec"]["hostnames"] == ["gpt.example.com"]
    found = {
        match["path"]["value"]: backend["name"]
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
        for backend in rule["backendRefs"]
    }
    assert found == PATHS
    for rule in route["spec"]["rules"]:
        assert rule["timeouts"] == {"request": "60s", "backendRequest": "60s"}


def test_the_page_has_a_way_in_only_if_it_is_there() -> None:
    for values, expected in (({"PLAYGROUND": True}, {"/": "Exact", "/playground": "Prefix"}), ({}, {})):
        documents = render({"ingress": {"enabled": True, "host": "h"}, "gateway": {"settings": values}})
        (ingress,) = of_kind(documents, "Ingress").values()
        paths = ingress["spec"]["rules"][0]["http"]["paths"]
        assert {path["path"]: path["pathType"] for path in paths if path["path"] not in PATHS} == expected
        names = {path["backend"]["service"]["name"] for path in paths if path["path"] in expected}
        assert names <= {"x-gpt-jobs-gateway"}

    (route,) = of_kind(render({**ROUTE, "settings": {"PLAYGROUND": True}}), "HTTPRoute").values()
    matches = [match["path"] for rule in route["spec"]["rules"] for match in rule["matches"]]
    assert {"type": "Exact", "value": "/"} in matches
    assert {"type": "PathPrefix", "value": "/playground"} in matches


def test_production_waits_longer_than_a_held_poll() -> None:
    (ingress,) = of_kind(CASES["production"].documents, "Ingress").values()
    assert int(ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > 25
