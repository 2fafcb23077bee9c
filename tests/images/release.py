"""The services as containers, each as the chart's manifest of it says, in the place of processes."""

import json
import secrets
import signal
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from yarl import URL

from stack import answers, ports
from stack.process import Process
from stack.program import Program
from tests.chart.rendering import EXTERNAL, overlaid, render
from tests.deployment import NOWHERE, Deployment, Place, Service
from tests.images.podman import environment, podman
from tests.images.pods import Pod, Secrets, pod_of

#: What the chart takes from secrets, and the name and key under which it finds it there.
IN_SECRETS = {
    "AMQP_URL": ("broker", "amqp-url"),
    "MANAGEMENT_URL": ("broker", "management-url"),
    "REDIS_URL": ("cache", "redis-url"),
    "MONGO_URL": ("store", "mongo-url"),
    "JOB_ID_KEYS": ("ids", "job-id-keys"),
    "OPENAI_API_KEY": ("openai", "api-key"),
}


class PodmanRun(Process):
    """`podman run`. Sent to its group, a signal would also reach, and end, what podman forwards it with."""

    def signal(self, number: signal.Signals) -> None:
        """Send it to the container; SIGKILL only to podman, which then leaves the container behind."""
        if number is signal.SIGKILL:
            super().signal(number)
        else:
            podman("kill", "--signal", str(int(number)), self.program.name)


@dataclass(frozen=True)
class Container(Service):
    """A running container, on the network of the host."""

    name: str
    pod: Pod

    def run(self, *command: str) -> str:
        """What a command in the container prints."""
        return podman("exec", self.name, *command)

    def stop(self) -> int:
        """As the kubelet does; the exit status, 137 if it had to be killed."""
        podman("stop", "--time", str(self.pod.grace_s), self.name)
        return self.process.wait(10)

    @property
    def host_pid(self) -> int:
        """Process 1 of the container, as the host numbers it."""
        (details,) = json.loads(podman("inspect", self.name))
        return int(details["State"]["Pid"])


class Release(Deployment):
    """Starts services in one place as containers, and removes them all at the end."""

    def __init__(self, place: Place, upstream: str, directory: Path) -> None:
        super().__init__(place, upstream, directory)
        self._containers: list[Container] = []

    def gateway(self, **settings: str) -> Container:
        return self._run("gateway", self.place.environment | settings)

    def gateway_without_servers(self, **settings: str) -> Container:
        return self._run("gateway", self.place.environment | NOWHERE | settings, lives_only=True)

    def reader(self, **settings: str) -> Container:
        return self._run("result-reader", self.place.environment | settings)

    def worker(self, **settings: str) -> Container:
        return self._run("gpt-worker", self.place.environment | self._upstream | settings)

    def complete(self, name: str, settings: dict[str, str], variables: dict[str, str]) -> str:
        """What the pod of that name prints, which runs to its end, with these variables in place of its own."""
        settings = self.place.environment | settings
        pod = pod_of(name, render(_values(settings)), _secrets(settings))
        return podman("run", *_run_arguments(pod, variables))

    def stop(self) -> None:
        for container in self._containers:
            podman("rm", "--force", "--time", "0", "--ignore", container.name)
            container.process.kill()

    def _run(self, component: str, settings: dict[str, str], *, lives_only: bool = False) -> Container:
        pod = pod_of(component, render(_values(settings)), _secrets(settings))
        # On the host's network each has to have ports of its own.
        port, admin_port = ports.free_ports(2)
        url, admin_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"
        name = f"{component}-{secrets.token_hex(4)}"
        arguments = _run_arguments(pod, {"HTTP_PORT": str(port), "ADMIN_PORT": str(admin_port)})
        program = Program(
            name=name,
            command=("podman", "run", "--name", name, *arguments),
            directory=self._directory,
            answers=partial(answers.http_ok, admin_url + (pod.live_path if lives_only else pod.ready_path)),
            environment=environment(),
            grace_s=pod.grace_s,
        )
        process = PodmanRun(program, self._directory / f"{name}.log")
        container = Container(process, URL(url), URL(admin_url), name, pod)
        self._containers.append(container)
        process.start()
        return container


def _run_arguments(pod: Pod, variables: dict[str, str]) -> tuple[str, ...]:
    """Of `podman run`; the variables are laid over those of the pod."""
    environment = {**pod.environment, **variables}
    given = (f"--env={name}={value}" for name, value in environment.items())
    # On the network of the host, since the servers listen on its loopback only.
    return ("--rm", "--pull", "never", "--network", "host", *given, *pod.options, pod.image, *pod.arguments)


def _secrets(settings: dict[str, str]) -> Secrets:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for variable, (name, key) in IN_SECRETS.items():
        if variable in settings:
            found[name][key] = settings[variable]
    return found


def _values(settings: dict[str, str]) -> dict[str, Any]:
    """The values of someone who has all servers elsewhere and wants these settings."""
    plain = {name: _as_number(value) for name, value in settings.items() if name not in IN_SECRETS}
    ours = {
        "jobIdKeys": {"existingSecret": "ids"},
        "openai": {"existingSecret": "openai"},
        "settings": {"HTTP_HOST": "127.0.0.1", **plain},
    }
    return overlaid(EXTERNAL, ours)


def _as_number(value: str) -> str | float:
    """As YAML would have it."""
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError:
        return value
