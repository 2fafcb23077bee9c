"""The pods that Helm starts beside the services: the broker's policy, and `helm test`."""

import asyncio
import json

from aiohttp import ClientSession
from yarl import URL

from tests.client import ask
from tests.deployment import Place
from tests.images.release import Release
from tests.integration.test_broker_policy import broker_with_management

__all__ = ["broker_with_management"]


async def test_the_release_tests_itself(deployment: Release) -> None:
    gateway, reader, _ = deployment.gateway(), deployment.reader(), deployment.worker()

    doors = {"GATEWAY_URL": str(gateway.url.origin()), "READER_URL": str(reader.url.origin())}

    printed = await asyncio.to_thread(deployment.complete, "test", {}, doors)

    assert json.loads(printed)["output_text"] == "You said: Say hello."


async def test_the_release_sets_the_policy_of_the_broker(
    deployment: Release, management: dict[str, str], place: Place, http: ClientSession
) -> None:
    urls = {"AMQP_URL": management["amqp_url"], "MANAGEMENT_URL": management["management_url"]}

    await asyncio.to_thread(deployment.complete, "broker-policy", urls, {})

    policies = (await ask(http, "GET", URL(management["management_url"]) / "api/policies")).body
    (limits,) = (policy["definition"] for policy in policies if policy["name"] == f"gpt-jobs {place.queue}")
    assert limits["overflow"] == "reject-publish"
    assert limits["dead-letter-routing-key"] == f"{place.queue}.dead"
