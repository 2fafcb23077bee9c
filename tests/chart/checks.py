"""What must be true of any rendering of the chart, with stubs or with the real dependencies.

Each check returns the problems that it finds, in words.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import kubernetes_validate
from kubernetes_validate import utils as schemas

Document = dict[str, Any]

#: From the oldest that Chart.yaml allows to the newest that there are schemas for.
VERSIONS = tuple(
    dict.fromkeys(
        major_minor
        for version in schemas.all_versions()
        if (major_minor := schemas.major_minor(version)).partition(".")[2].isdigit()
        and int(major_minor.partition(".")[2]) >= 30
    )
)
#: Kinds that a cluster has from elsewhere, for which there are no schemas here.
CUSTOM = {"PodMonitor", "PrometheusRule", "ServiceMonitor", "ScaledObject", "TriggerAuthentication", "HTTPRoute"}

# It reads megabytes of JSON for each object otherwise.
schemas.schema_contents = cache(schemas.schema_contents)

#: The variables that hold the address of a server of the release.
SERVER_URLS = {"AMQP_URL", "REDIS_URL", "MONGO_URL", "MANAGEMENT_URL", "GATEWAY_URL", "READER_URL"}

_HOST = re.compile(r"(?:amqp|redis|mongodb|http)://(?:[^@/]*@)?([^/?]+)")


def schema_problems(documents: Sequence[Document], versions: Sequence[str] = VERSIONS) -> list[str]:
    """Whatever Kubernetes would refuse, or ignore."""
    texts = [json.dumps(document, sort_keys=True) for document in documents]
    return [problem for text in texts for version in versions for problem in _invalid(text, version)]


@cache  # most objects are the same with most values
def _invalid(text: str, version: str) -> tuple[str, ...]:
    document = json.loads(text)
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(map(str, error.absolute_path))
        return (f"{version}: {title(document)}: {where}: {error.message}",)
    except kubernetes_validate.SchemaNotFoundError:
        if document["kind"] not in CUSTOM:
            return (f"{version}: {title(document)}: no such kind",)
    return ()


def name_problems(documents: Sequence[Document]) -> list[str]:
    """Servers that our pods are told of, and that no Service of the release has the name and the port of."""
    services = {
        document["metadata"]["name"]: {port["port"] for port in document["spec"]["ports"]}
        for document in documents
        if document["kind"] == "Service"
    }
    return [
        f"{title(document)}: {variable['name']}: no Service {address}"
        for document in documents
        for variable in environment(document)
        if variable["name"] in SERVER_URLS
        for address in addresses(variable.get("value", ""))
        if not _is_there(address, services)
    ]


def _is_there(address: str, services: dict[str, set[int]]) -> bool:
    host, _, port = address.partition(":")
    first, *others = host.split(".")
    # A member of a StatefulSet is named by itself, before its Service.
    service = others[0] if others and re.search(r"-\d+$", first) and others[0] in services else first
    return int(port or 80) in services.get(service, set())


def addresses(url: str) -> list[str]:
    """The hosts of a URL, each with its port."""
    found = _HOST.match(url)
    return found[1].split(",") if found else []


def pod_of(document: Document) -> Document | None:
    """The pod that an object has or is a template of."""
    if document["kind"] == "Pod":
        return document
    template: Document | None = document.get("spec", {}).get("template")
    return template if document["kind"] in {"Deployment", "StatefulSet", "Job"} else None


def environment(document: Document) -> list[Document]:
    """The environment of the containers of ours."""
    pod = pod_of(document)
    if pod is None or document["metadata"].get("labels", {}).get("app.kubernetes.io/name") != "gpt-jobs":
        return []
    return [variable for container in pod["spec"]["containers"] for variable in container.get("env", [])]


def title(document: Document) -> str:
    """How a person speaks of an object."""
    return f"{document['kind']} {document['metadata']['name']}"
