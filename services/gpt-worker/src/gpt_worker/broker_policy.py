"""Sets the broker's policy on the job queue, through its management API: `python -m gpt_worker.broker_policy`.

Everything that can be tuned about the queue is in this policy, since the queue itself is declared without arguments.
Safe to repeat; the queue need not be there yet. Exits with 0, with 1 if the broker refuses or does not answer for
PATIENCE_S, with 2 if a variable is missing or wrong.
"""

import asyncio
import re
import sys
from urllib.parse import quote

import aiohttp
from pydantic import Field
from yarl import URL

from common.settings import BrokerSettings, ManagementUrl, TimeoutSettings, load
from common.topology import Topology
from gpt_worker.dead_output import say, tell
from gpt_worker.reading import MOST_RETURNS

PROGRAM = "gpt-worker broker_policy"
#: A server that starts for the first time, perhaps with images to be pulled, may need as long.
PATIENCE_S = 600
PAUSE_S = 2
#: Over policies that somebody has put on all queues; only one policy counts for each.
PRIORITY = 100
TIMEOUT_KEY = "consumer-timeout"


class PolicySettings(BrokerSettings, TimeoutSettings):
    """What the policy follows from, and how to reach the management API."""

    #: With user and password, as in http://user:password@host:15672
    management_url: ManagementUrl
    #: Not set: no bound.
    policy_max_length: int | None = Field(default=None, ge=1)
    policy_delivery_limit: int = Field(default=20, gt=MOST_RETURNS)
    #: The longest absence of a server that an answer in a worker's hands is to survive.
    policy_absence_s: float = Field(default=1500, ge=60, le=30 * 86_400)


class Refused(Exception):
    """The broker will not have it, however often it is asked."""


def definition(settings: PolicySettings) -> dict[str, str | int]:
    """The policy. What is refused for its length goes back to the publisher; what comes back too often is kept."""
    topology = Topology(settings.amqp_exchange, settings.amqp_queue)
    limits: dict[str, str | int] = {
        "dead-letter-exchange": "",
        "dead-letter-routing-key": topology.dead.name,
        "overflow": "reject-publish",
        "delivery-limit": settings.policy_delivery_limit,
        TIMEOUT_KEY: round((settings.job_timeout_s + settings.policy_absence_s) * 1000),
    }
    return limits | ({"max-length": settings.policy_max_length} if settings.policy_max_length else {})


async def set_policy(settings: PolicySettings, patience_s: float = PATIENCE_S) -> dict[str, str | int]:
    """Set it as soon as the management API answers; returns what stands in it."""
    limits = definition(settings)
    timeout = aiohttp.ClientTimeout(total=settings.broker_timeout_s)
    async with aiohttp.ClientSession(headers=_who(settings), timeout=timeout) as http, asyncio.timeout(patience_s):
        try:
            await _put(http, settings, limits)
        except Refused as refusal:
            if TIMEOUT_KEY not in str(refusal):
                raise
            # Before RabbitMQ 3.12 it is a setting of the server only.
            tell(f"{PROGRAM}: this broker takes no {TIMEOUT_KEY} from a policy; see to its consumer_timeout yourself")
            del limits[TIMEOUT_KEY]
            await _put(http, settings, limits)
    return limits


async def _put(http: aiohttp.ClientSession, settings: PolicySettings, limits: dict[str, str | int]) -> None:
    body = {
        # Only this queue: the wait queues and the dead letters have limits of their own.
        "pattern": f"^{re.escape(settings.amqp_queue)}$",
        "apply-to": "queues",
        "priority": PRIORITY,
        "definition": limits,
    }
    while (problem := await _try_to_put(http, _where(settings), body)) is not None:
        tell(f"{PROGRAM}: waiting for the management API (MANAGEMENT_URL): {problem}")
        await asyncio.sleep(PAUSE_S)


async def _try_to_put(http: aiohttp.ClientSession, url: URL, body: dict[str, object]) -> str | None:
    """None if it is done; otherwise why it may be tried again."""
    try:
        async with http.put(url, json=body) as response:
            if response.status == 400:
                raise Refused((await response.json(content_type=None)).get("reason", "bad request"))
            # 401 too: a new server answers before it has its user.
            return None if response.ok else f"it answers {response.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__


def _who(settings: PolicySettings) -> dict[str, str]:
    url = URL(settings.management_url.get_secret_value())
    return {"Authorization": aiohttp.encode_basic_auth(url.user or "", url.password or "")}


def _where(settings: PolicySettings) -> URL:
    # The virtual host is the one that the broker's clients read from AMQP_URL.
    vhost = URL(settings.amqp_url.get_secret_value()).path.removeprefix("/").replace("%2F", "/") or "/"
    base = URL(settings.management_url.get_secret_value()).origin()
    name = f"gpt-jobs {settings.amqp_queue}"
    return URL(f"{base}/api/policies/{quote(vhost, safe='')}/{quote(name, safe='')}", encoded=True)


def main() -> int:
    """Do it; returns the exit status."""
    settings = load(PolicySettings, PROGRAM)
    try:
        limits = asyncio.run(set_policy(settings))
    except TimeoutError:
        tell(f"{PROGRAM}: gave up after {PATIENCE_S} s")
    except Refused as refusal:
        tell(f"{PROGRAM}: the broker refuses the policy: {refusal}")
    else:
        say(f"{settings.amqp_queue} has: " + ", ".join(f"{key}={value!r}" for key, value in limits.items()))
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
