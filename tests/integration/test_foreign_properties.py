"""Properties as foreign publishers set them: a consumer reads on, whatever they are."""

from decimal import Decimal
from typing import Any

import pytest

from common.broker import Broker
from tests.deployment import Place
from tests.integration.broker_clients import Publisher, consuming

MILLISECONDS = 1_700_000_000_000


@pytest.mark.parametrize(
    "properties",
    [
        {"timestamp": 0},
        {"timestamp": 10**18},
        {"timestamp": 1_700_000_000_000_000},
        {"message_id": b"\xff"},
        {"message_id": b"\xff" * 200},
        {"correlation_id": b"\xff"},
        {"content_type": b"\xff"},
        {"reply_to": b"\xff"},
        {"app_id": b"\xff"},
        {"timestamp": MILLISECONDS},
        {"headers": {"nested": {"a": [1, {"b": [None]}]}}},
        {"headers": {"binary": b"\xff\xfe\x00"}},
        {"headers": {"huge": 2**63 - 1, "least": -(2**63)}},
        {"headers": {"decimal": Decimal("1.5")}},
        {"headers": {"long": "x" * 100_000}},
        {"headers": {"": "no name"}},
        {"headers": {"x-death": "a text"}},
        {"priority": 255, "type": "t", "app_id": "a", "user_id": "guest", "expiration": "60000"},
        {"content_type": "text/plain", "content_encoding": "gzip"},
        {"message_id": "x" * 255, "correlation_id": "", "reply_to": ""},
        {"message_id": "名 👋", "delivery_mode": 1},
    ],
    ids=lambda properties: str(properties)[:50],
)
async def test_a_consumer_reads_on(
    broker: Broker, publisher: Publisher, place: Place, properties: dict[str, Any]
) -> None:
    basket = await consuming(broker)
    publisher.publish(place.exchange, place.queue, b"odd", **properties)
    publisher.publish(place.exchange, place.queue, b"next")
    bodies = []
    for _ in range(2):
        delivery = await basket.next()
        bodies.append(delivery.message.body)
        await delivery.acknowledge()
    assert bodies == [b"odd", b"next"]


async def test_a_timestamp_in_milliseconds_is_understood(broker: Broker, publisher: Publisher, place: Place) -> None:
    basket = await consuming(broker)
    publisher.publish(place.exchange, place.queue, b"hello", timestamp=MILLISECONDS)
    assert (await basket.next()).message.timestamp == MILLISECONDS / 1000


async def test_only_plain_headers_are_read(broker: Broker, publisher: Publisher, place: Place) -> None:
    basket = await consuming(broker)
    plain = {"text": "a", "number": 2**40, "flag": False, "none": None}
    publisher.publish(place.exchange, place.queue, b"hello", headers={**plain, "list": [1], "table": {"a": 1}})
    message = (await basket.next()).message
    assert message.headers == plain
    await broker.publish_to(broker.topology.dead.name, message)
    sent = publisher.take(broker.topology.dead.name)[0].headers
    assert {name: sent.get(name) for name in plain} == plain
    assert not {"list", "table"} & set(sent)
