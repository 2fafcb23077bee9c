"""What a kubelet makes of a rendered Deployment, Job or Pod, in the words of podman.

A field that is neither translated nor left out knowingly is an error: it would go untested.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]
#: Their keys and values by the name of the secret.
Secrets = Mapping[str, Mapping[str, str]]

#: Where a pod runs and how often, not how.
LEFT_OUT_OF_POD = {
    *("restartPolicy", "activeDeadlineSeconds"),
    *("serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "topologySpreadConstraints"),
    *("affinity", "nodeSelector", "tolerations", "priorityClassName", "imagePullSecrets"),
}
#: Ports are those of the host here, and podman has no probes of this kind; the tests use both by themselves.
LEFT_OUT_OF_CONTAINER = {"name", "imagePullPolicy", "ports", "startupProbe"}


@dataclass(frozen=True)
class Pod:
    """One container, since ours have one."""

    image: str
    environment: Mapping[str, str]
    #: Of `podman run`, and what follows the image.
    options: tuple[str, ...]
    arguments: tuple[str, ...]
    #: Where the kubelet asks whether it lives, and whether it is ready, if it does.
    live_path: str
    ready_path: str
    #: How long it has between SIGTERM and SIGKILL.
    grace_s: int


def pod_of(name: str, manifests: Iterable[Manifest], secrets: Secrets) -> Pod:
    """The pod of the workload whose name ends so."""
    spec = Fields(next(_specifications(name, manifests)))
    (container,) = map(Fields, spec.take("containers"))
    pre_stop_s = container.take("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"]["seconds"]
    options = (
        *_identity(Fields(spec.take("securityContext"))),
        *_restrictions(Fields(container.take("securityContext"))),
        *_mounts(container.take("volumeMounts"), spec.take("volumes")),
        *("--memory", container.take("resources")["limits"]["memory"]),
        *(("--entrypoint", json.dumps(command)) if (command := container.take("command", [])) else ()),
    )
    pod = Pod(
        image=container.take("image"),
        environment=_environment(container.take("env"), secrets),
        options=options,
        arguments=tuple(container.take("args", ())),
        live_path=_path(container.take("livenessProbe", {})),
        ready_path=_path(container.take("readinessProbe", {})),
        grace_s=spec.take("terminationGracePeriodSeconds", 30) - pre_stop_s,
    )
    spec.nothing_left_but(LEFT_OUT_OF_POD)
    container.nothing_left_but(LEFT_OUT_OF_CONTAINER)
    return pod


def _specifications(name: str, manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "Job", "Pod"} and manifest["metadata"]["name"].endswith(f"-{name}"):
            yield manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]


def _path(probe: Manifest) -> str:
    path: str = probe.get("httpGet", {"path": ""})["path"]
    return path


class Fields:
    """The fields of an object, taken one by one, so that none is overlooked."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._left = dict(fields)

    def take(self, name: str, default: Any = None) -> Any:
        value = self._left.pop(name, default)
        assert value is not None, f"{name} is missing"
        return value

    def nothing_left_but(self, names: Iterable[str]) -> None:
        left = set(self._left) - set(names)
        assert not left, f"not translated for podman: {', '.join(sorted(left))}"


def _identity(context: Fields) -> tuple[str, ...]:
    assert context.take("seccompProfile") == {"type": "RuntimeDefault"}  # which is podman's default
    assert context.take("runAsNonRoot") is True
    user, group = context.take("runAsUser"), context.take("runAsGroup")
    groups = ("--group-add", str(context.take("fsGroup")))
    context.nothing_left_but(())
    return ("--user", f"{user}:{group}", *groups)


def _restrictions(context: Fields) -> tuple[str, ...]:
    read_only, escalation = context.take("readOnlyRootFilesystem"), context.take("allowPrivilegeEscalation")
    dropped = context.take("capabilities")["drop"]
    context.nothing_left_but(())
    return (
        # Unless told not to, podman makes /tmp and others writable of its own accord.
        *(("--read-only", "--read-only-tmpfs=false") if read_only else ()),
        *(() if escalation else ("--security-opt", "no-new-privileges")),
        *(option for capability in dropped for option in ("--cap-drop", capability)),
    )


def _mounts(mounts: Iterable[Manifest], volumes: Iterable[Manifest]) -> tuple[str, ...]:
    sizes = {volume["name"]: volume["emptyDir"].get("sizeLimit", "64Mi") for volume in volumes}
    # podman says "m" where Kubernetes says "Mi".
    places = [f"{mount['mountPath']}:rw,mode=1777,size={sizes[mount['name']].removesuffix('i')}" for mount in mounts]
    return tuple(option for place in places for option in ("--tmpfs", place))


def _environment(variables: Iterable[Manifest], secrets: Secrets) -> dict[str, str]:
    """In order, since a value may hold `$(NAME)` of one before it."""
    environment: dict[str, str] = {}
    for variable in variables:
        if "valueFrom" in variable:
            reference = variable["valueFrom"]["secretKeyRef"]
            value = secrets[reference["name"]][reference["key"]]
        else:
            value = re.sub(r"\$\((\w+)\)", lambda name: environment[name[1]], variable["value"])
        environment[variable["name"]] = value
    return environment
