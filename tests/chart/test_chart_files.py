"""The chart's files agree with each other and with the code."""

import hashlib
import json
from typing import Any

import helm_python
import pytest
import yaml

from tests.chart.rendering import CHART, with_stubs
from tests.chart.test_environment import SERVICES

#: Settings that have a place of their own in the values, or are fixed.
ELSEWHERE = {
    *{"AMQP_URL", "REDIS_URL", "MONGO_URL", "JOB_ID_KEYS", "API_KEYS", "OPENAI_API_KEY", "HTTP_PORT", "ADMIN_PORT"},
}
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
BOUNDS = ("type", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength", "pattern", "enum")


def from_yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHART / name).read_text(encoding="utf-8"))
    return loaded


def settings_of_the_services() -> dict[str, dict[str, Any]]:
    """What pydantic says of each setting, as a schema."""
    found = {}
    for kind, service in SERVICES.values():
        for name, field in service.model_json_schema()["properties"].items() if kind == "Deployment" else ():
            only = next((each for each in field.get("anyOf", []) if each["type"] != "null"), field)
            found[name.upper()] = {key: only[key] for key in BOUNDS if key in only}
    return {name: schema for name, schema in found.items() if name not in ELSEWHERE}


def test_the_schema_has_the_settings_of_the_services_with_their_bounds() -> None:
    expected = settings_of_the_services()
    expected["MAX_QUEUE_DEPTH"]["type"] = ["integer", "null"]
    expected["CORS_ORIGINS"]["type"] = "string"  # separated by commas
    assert SCHEMA["definitions"]["settings"]["properties"] == expected


def test_each_service_is_given_what_it_reads() -> None:
    source = (CHART / "templates" / "_settings.tpl").read_text(encoding="utf-8")
    table = yaml.safe_load(source.partition('settingsReadBy" -}}')[2].partition("{{- end")[0])
    for component, (kind, service) in SERVICES.items():
        if kind == "Deployment":
            assert set(table[component]) == {name.upper() for name in service.model_fields} - ELSEWHERE


def test_the_settings_that_the_chart_computes_with_have_the_services_defaults() -> None:
    fields = {name.upper(): field for _, service in SERVICES.values() for name, field in service.model_fields.items()}
    for name, value in from_yaml("values.yaml")["settings"].items():
        assert value == fields[name].default or name == "MAX_QUEUE_DEPTH"


def test_the_lock_is_in_step_as_helm_sees_it() -> None:
    """The digest is that of what Chart.yaml asks for and of what was found, as Helm computes it."""
    wanted, lock = from_yaml("Chart.yaml")["dependencies"], from_yaml("Chart.lock")
    locked = [{key: each[key] for key in ("name", "version", "repository")} for each in lock["dependencies"]]
    asked = [{key: each[key] for key in ("name", "version", "repository", "condition")} for each in wanted]
    text = json.dumps([asked, locked], separators=(",", ":"))
    assert lock["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert [each | {"condition": f"{each['name']}.enabled"} for each in locked] == asked


def test_the_stubs_stand_in_for_the_versions_of_the_lock() -> None:
    found = {each["name"]: each["version"] for each in helm_python.dependency_list(with_stubs())}
    stubs = {
        path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in with_stubs().glob("charts/*/Chart.yaml")
    }
    assert {name: stub["version"] for name, stub in stubs.items()} == found


def test_no_archive_of_a_dependency_is_committed() -> None:
    assert not list(CHART.rglob("*.tgz"))


@pytest.mark.parametrize("path", ["values.yaml", "values-dev.yaml", "values-production.yaml"])
def test_redis_evicts_nothing_and_has_the_memory_to_save_itself(path: str) -> None:
    values = from_yaml("values.yaml") if path == "values.yaml" else from_yaml(path)
    master = values["redis"]["master"]
    settings = dict(line.split() for line in master["configuration"].splitlines())
    limit = master["resources"]["limits"]["memory"]
    assert settings["maxmemory-policy"] == "noeviction"
    assert megabytes(limit) >= 2 * megabytes(settings["maxmemory"].replace("mb", "Mi").replace("gb", "Gi"))


def megabytes(quantity: str) -> int:
    number, unit = int(quantity[:-2]), quantity[-2:]
    return number * {"Mi": 1, "Gi": 1024}[unit]


def test_images_of_the_servers_are_those_that_can_still_be_had() -> None:
    values = from_yaml("values.yaml")
    for server in ("rabbitmq", "redis", "mongodb"):
        images = [values[server]["image"], values[server]["metrics"].get("image")]
        for image in filter(None, images):
            assert image["repository"].startswith("bitnamilegacy/")
            assert image["tag"]


def test_helm_finds_nothing_to_complain_about() -> None:
    report = helm_python.lint(with_stubs(), {}, namespace="ns", with_subcharts=False)
    assert [message for message in report["messages"] if message["severity"] > 1] == []
