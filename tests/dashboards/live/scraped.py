"""All that is scraped: the real servers with their exporters, the services, and the Prometheus that does it."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from yarl import URL

from stack import answers, ports
from stack.model_stub import ModelStub
from stack.process import Process
from stack.program import Program
from tests.client import Client
from tests.dashboards.files import NAMESPACE, monitoring, rule_groups
from tests.dashboards.live import prometheus
from tests.dashboards.live.mongodb_exporter import MongodbExporter
from tests.dashboards.live.prometheus import BIN, Api, Target
from tests.deployment import Deployment, Place, Servers, Service

SETTINGS = {"PREFETCH": "4", "MAX_ATTEMPTS": "2", "RETRY_DELAY_S": "0.3", "JOB_TIMEOUT_S": "10"}


@dataclass(frozen=True)
class Scraped:
    """What the tests have in hand."""

    servers: Servers
    place: Place
    stub: ModelStub
    client: Client
    workers: tuple[Service, ...]
    prometheus: Api


@asynccontextmanager
async def scraped(home: Path, http: ClientSession, thresholds: Mapping[str, Any]) -> AsyncIterator[Scraped]:
    """Start it all, and stop it at the end."""
    metrics_port, exporter_port, mongodb_port, port = ports.free_ports(4)
    settings = ("prometheus.tcp.ip = 127.0.0.1", f"prometheus.tcp.port = {metrics_port}")
    with ExitStack() as stack:
        running = stack.enter_context(
            Servers.running(home, rabbitmq_plugins=("rabbitmq_prometheus",), rabbitmq_settings=settings)
        )
        stack.enter_context(Process(_redis_exporter(home, exporter_port, running), home / "redis-exporter.log"))
        # The usual names, since nobody else is on these servers, and the pictures show them.
        names = {"AMQP_EXCHANGE": "chat-gpt-exchange", "AMQP_QUEUE": "request-queue"}
        place = Place(Place.on(running).environment | names)
        async with (
            ModelStub(keep_calls=False) as stub,
            _serving(MongodbExporter(running.mongodb.program.url), mongodb_port),
        ):
            deployment = Deployment(place, stub.base_url, home)
            stack.callback(deployment.stop)
            gateway, reader = deployment.gateway(RECOVERY_GRACE_S="5"), deployment.reader(RESULT_CACHE_TTL_S="5")
            workers = tuple(deployment.worker(**SETTINGS, RESULT_CACHE_TTL_S="5") for _ in range(2))
            services = {"gateway": (gateway,), "result-reader": (reader,), "gpt-worker": workers}
            targets = [*_ours(services), *_theirs(metrics_port, exporter_port, mongodb_port)]
            program = prometheus.program(home / "prometheus", port, targets, rule_groups(thresholds))
            stack.enter_context(Process(program, home / "prometheus.log"))
            client = Client(http, gateway, reader)
            yield Scraped(running, place, stub, client, workers, Api(http, program.url))


def _ours(services: Mapping[str, tuple[Service, ...]]) -> list[Target]:
    """The services, with the labels that the chart's PodMonitors take from the chart's pods."""
    manifests = monitoring()
    targets = []
    for component, running in services.items():
        monitor = _of(manifests, "PodMonitor", component)
        pod = _of(manifests, "Deployment", component)["spec"]["template"]["metadata"]["labels"]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        copied = {re.sub(r"\W", "_", label): pod[label] for label in monitor["spec"]["podTargetLabels"]}
        for number, service in enumerate(running):
            labels = {"namespace": NAMESPACE, "pod": f"{component}-{number}", "container": component, **copied}
            targets.append(Target(service.admin_url.with_path(endpoint["path"]), labels))
    return targets


def _of(manifests: list[dict[str, Any]], kind: str, component: str) -> dict[str, Any]:
    (found,) = [
        document
        for document in manifests
        if document["kind"] == kind and document["metadata"]["labels"].get("app.kubernetes.io/component") == component
    ]
    return found


def _theirs(rabbitmq_port: int, redis_port: int, mongodb_port: int) -> list[Target]:
    """The servers' exporters, as the ServiceMonitors of their charts have them."""
    families = {"family": ["queue_coarse_metrics", "queue_consumer_count"]}
    rabbitmq = URL.build(scheme="http", host="127.0.0.1", port=rabbitmq_port)
    return [
        Target(rabbitmq.with_path("/metrics"), _of_server("rabbitmq")),
        Target(rabbitmq.with_path("/metrics/detailed").with_query(families), _of_server("rabbitmq")),
        Target(URL(f"http://127.0.0.1:{redis_port}/metrics"), _of_server("redis-master")),
        Target(URL(f"http://127.0.0.1:{mongodb_port}/metrics"), _of_server("mongodb")),
    ]


def _of_server(name: str) -> dict[str, str]:
    return {"namespace": NAMESPACE, "pod": f"{name}-0"}


def _redis_exporter(home: Path, port: int, running: Servers) -> Program:
    address = f"127.0.0.1:{port}"
    command = (
        *(str(BIN / "prometheus-redis-exporter"), "--redis.addr", running.redis.program.url),
        *("--web.listen-address", address),
    )
    url = f"http://{address}"
    return Program("redis-exporter", command, home / "redis-exporter", lambda: answers.http_ok(f"{url}/"), url=url)


@asynccontextmanager
async def _serving(exporter: MongodbExporter, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(exporter.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()
        exporter.close()
