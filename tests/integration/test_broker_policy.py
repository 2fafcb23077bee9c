"""The policy on the job queue, set through the management API of a real broker."""

import os
import subprocess
import sys
from collections.abc import Iterator

import aiohttp
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel as Channel
from pika.exceptions import NackError
from pydantic import SecretStr
from yarl import URL

from gpt_worker.broker_policy import PolicySettings, Refused, set_policy
from stack import ports, servers
from stack.process import Process
from tests.deployment import Place
from tests.waiting import eventually

MAX_LENGTH = 3


@pytest.fixture(scope="module", name="management")
def broker_with_management(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """How to reach a broker that has its management plugin on."""
    home = tmp_path_factory.mktemp("managed-rabbitmq")
    port, epmd_port, distribution_port, management_port = ports.free_ports(4)
    program = servers.rabbitmq(
        home / "rabbitmq",
        port,
        epmd_port=epmd_port,
        distribution_port=distribution_port,
        settings=("management.tcp.ip = 127.0.0.1", f"management.tcp.port = {management_port}"),
        plugins=("rabbitmq_management",),
    )
    epmd = Process(servers.epmd(home / "epmd", epmd_port), home / "epmd.log")
    with epmd, Process(program, home / "rabbitmq.log"):
        yield {"amqp_url": program.url, "management_url": f"http://guest:guest@127.0.0.1:{management_port}"}


@pytest.fixture
def settings(management: dict[str, str], place: Place) -> PolicySettings:
    names = {"amqp_exchange": place.exchange, "amqp_queue": place.queue}
    return PolicySettings.model_validate(management | names | {"policy_max_length": MAX_LENGTH})


@pytest.fixture
def channel(settings: PolicySettings) -> Iterator[Channel]:
    """The job queue and its dead letters, as quorum queues on every version, and a channel with confirms."""
    connection = pika.BlockingConnection(pika.URLParameters(settings.amqp_url.get_secret_value()))
    channel = connection.channel()
    for queue in (settings.amqp_queue, f"{settings.amqp_queue}.dead"):
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.confirm_delivery()
    yield channel
    connection.close()


async def limits_of(settings: PolicySettings, queue: str) -> dict[str, object]:
    """What policies say of a queue, as the broker tells it."""
    base = URL(settings.management_url.get_secret_value())
    url = URL(f"{base}/api/queues/%2F/{queue}", encoded=True)
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        limits: dict[str, object] = (await response.json()).get("effective_policy_definition") or {}
        return limits


async def test_the_queue_has_it_and_the_dead_letters_have_not(settings: PolicySettings, channel: Channel) -> None:
    assert channel.is_open
    await set_policy(settings)
    limits = await set_policy(settings)

    async def has_it() -> bool:
        return await limits_of(settings, settings.amqp_queue) == limits

    await eventually(has_it)
    assert await limits_of(settings, f"{settings.amqp_queue}.dead") == {}


async def test_a_full_queue_refuses(settings: PolicySettings, channel: Channel) -> None:
    await set_policy(settings)

    def is_refused() -> bool:
        try:
            channel.basic_publish("", settings.amqp_queue, b"a job", mandatory=True)
        except NackError:
            return True
        return False

    await eventually(is_refused)
    assert channel.queue_declare(settings.amqp_queue, passive=True).method.message_count >= MAX_LENGTH


async def test_what_comes_back_too_often_becomes_a_dead_letter(settings: PolicySettings, channel: Channel) -> None:
    await set_policy(settings)
    channel.basic_publish("", settings.amqp_queue, b"a job", mandatory=True)

    def is_dead() -> bool:
        method, _, _ = channel.basic_get(settings.amqp_queue)
        if method is not None:
            channel.basic_nack(method.delivery_tag)
        return bool(channel.queue_declare(f"{settings.amqp_queue}.dead", passive=True).method.message_count)

    await eventually(is_dead)


async def test_a_management_api_that_does_not_let_us_in_is_waited_for(settings: PolicySettings) -> None:
    url = settings.management_url.get_secret_value().replace("guest:guest", "guest:wrong")
    with pytest.raises(TimeoutError):
        await set_policy(settings.model_copy(update={"management_url": SecretStr(url)}), patience_s=0.5)


async def test_a_virtual_host_that_does_not_exist_is_waited_for(settings: PolicySettings) -> None:
    url = settings.amqp_url.get_secret_value() + "nowhere"
    with pytest.raises(TimeoutError):
        await set_policy(settings.model_copy(update={"amqp_url": SecretStr(url)}), patience_s=0.5)


async def test_what_the_broker_refuses_is_not_tried_again(settings: PolicySettings) -> None:
    with pytest.raises(Refused):
        await set_policy(settings.model_copy(update={"policy_max_length": -1}))


def test_the_command_says_what_it_has_set(settings: PolicySettings) -> None:
    environment = {
        "AMQP_URL": settings.amqp_url.get_secret_value(),
        "AMQP_QUEUE": settings.amqp_queue,
        "MANAGEMENT_URL": settings.management_url.get_secret_value(),
        "JOB_TIMEOUT_S": "600",
    }
    done = subprocess.run(
        [sys.executable, "-m", "gpt_worker.broker_policy"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert settings.amqp_queue in done.stdout
    # RabbitMQ 3.10 has no such policy.
    assert "consumer-timeout=2100000" in done.stdout or "consumer-timeout" in done.stderr
