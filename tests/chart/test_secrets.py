"""Which secrets the release makes, and who gets what."""

import re
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Config, HelmError

from tests.chart.checks import Document, environment, pod_of
from tests.chart.fake_cluster import cluster_with
from tests.chart.matrix import CASES, OWN_SECRETS
from tests.chart.rendering import EXTERNAL, copy_with_stubs, overlaid, render, render_sources

MADE = {
    "x-rabbitmq-auth": {"rabbitmq-username", "rabbitmq-password", "rabbitmq-erlang-cookie"},
    "x-redis-auth": {"redis-password"},
    "x-mongodb-auth": {"mongodb-root-password", "mongodb-passwords", "mongodb-replica-set-key"},
    "x-gpt-jobs-job-id-keys": {"job-id-keys"},
}


def made(documents: list[Document]) -> dict[str, dict[str, str]]:
    secrets = [document for document in documents if document["kind"] == "Secret"]
    assert all(each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for each in secrets)
    return {each["metadata"]["name"]: each["data"] for each in secrets}


def test_one_for_each_server_and_one_for_the_ids() -> None:
    secrets = made(render())
    assert {name: set(data) for name, data in secrets.items()} == MADE


def test_they_need_no_quoting_in_a_url() -> None:
    for data in made(render()).values():
        for key, value in data.items():
            plain = b64decode(value).decode()
            assert re.fullmatch(r"[A-Za-z0-9]{32,}", plain) or (key, plain) == ("rabbitmq-username", "gpt")


def test_none_is_made_where_there_is_one() -> None:
    assert made(render(OWN_SECRETS)) == {}
    assert made(CASES["production"].documents) == {}
    assert made(render(EXTERNAL)).keys() == {"x-gpt-jobs-job-id-keys"}
    own = {"rabbitmq": {"auth": {"existingPasswordSecret": "mine", "existingErlangSecret": "mine"}}}
    assert made(render(own)).keys() == MADE.keys() - {"x-rabbitmq-auth"}


def test_a_second_rendering_is_the_same_to_the_byte() -> None:
    assert render_sources(OWN_SECRETS) == render_sources(OWN_SECRETS)
    files = CASES["production"].files
    assert render_sources(values_files=files) == render_sources(values_files=files)


def test_what_stands_in_the_cluster_is_kept(tmp_path: Path) -> None:
    """A cluster is asked only in an installation; this one ends where the secrets are made, which it shows."""
    chart = copy_with_stubs(tmp_path)
    shown = ['{{ fail (printf "%s %s %s"']
    for secret, key in (("rabbitmq-auth", "rabbitmq-password"), ("rabbitmq-auth", "new-key"), ("other", "key")):
        asked = f'(dict "ctx" $ "secret" "x-{secret}" "key" "{key}" "length" 40)'
        shown.append(f'(include "gpt-jobs.kept" {asked})')
    (chart / "templates" / "a-test.yaml").write_text(" ".join(shown) + ") }}", encoding="utf-8")
    kept = b64encode(b"as before").decode()
    with (
        cluster_with({"x-rabbitmq-auth": {"rabbitmq-password": kept}}) as address,
        Config(namespace="ns", kube_apiserver=address, storage_driver="memory") as cluster,
        pytest.raises(HelmError) as shows,
    ):
        cluster.install(str(chart), "x", {}, dry_run="server")
    (old, new, other) = re.findall(r'"([A-Za-z0-9+/=]+)"', str(shows.value))
    assert old == kept
    assert all(re.fullmatch("[A-Za-z0-9]{40}", b64decode(made_anew).decode()) for made_anew in (new, other))


def test_only_the_worker_gets_the_keys_of_the_model() -> None:
    for case in CASES.values():
        holders = {
            document["metadata"]["labels"]["app.kubernetes.io/component"]
            for document in case.documents
            if any(variable["name"] == "OPENAI_API_KEY" for variable in environment(document))
        }
        assert holders <= {"gpt-worker"}
        users = {
            document["metadata"]["name"]
            for document in case.documents
            if pod_of(document) and f"{case.release}-openai" in yaml.safe_dump(document)
        }
        assert all(name.endswith("-gpt-worker") for name in users)


def references(values: dict[str, Any], component: str) -> dict[str, dict[str, str]]:
    return {
        variable["name"]: variable["valueFrom"]["secretKeyRef"]
        for document in render(values)
        if document["metadata"]["labels"].get("app.kubernetes.io/component") == component
        for variable in environment(document)
        if "valueFrom" in variable
    }


def test_where_the_keys_come_from() -> None:
    assert references({}, "gpt-worker")["OPENAI_API_KEY"] == {"name": "x-openai", "key": "api-key"}
    own = {"openai": {"existingSecret": "vault-{{ .Release.Namespace }}", "existingSecretKey": "key"}}
    assert references(own, "gpt-worker")["OPENAI_API_KEY"] == {"name": "vault-ns", "key": "key"}


def test_api_keys_go_to_the_two_doors_and_the_test() -> None:
    values = {"apiKeys": {"existingSecret": "clients"}}
    expected = {"name": "clients", "key": "api-keys"}
    for component in ("gateway", "result-reader", "test"):
        assert references(values, component)["API_KEYS"] == expected
    assert "API_KEYS" not in references(values, "gpt-worker")
    assert "API_KEYS" not in references({}, "gateway")


def test_ids_are_signed_and_verified_with_the_same_keys() -> None:
    values = overlaid(OWN_SECRETS, {"jobIdKeys": {"existingSecretKey": "k"}})
    assert references(values, "gateway")["JOB_ID_KEYS"] == {"name": "ids", "key": "k"}
    assert references(values, "gateway")["JOB_ID_KEYS"] == references(values, "result-reader")["JOB_ID_KEYS"]
