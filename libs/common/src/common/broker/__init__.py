"""RabbitMQ: the one place that imports aio-pika. Its exceptions never leave this package.

Publishing is persistent, mandatory and confirmed, or raises BrokerUnavailable within the timeout.
"""

from common.broker.connection import Broker
from common.broker.inspection import MOST_IN_HAND, Inspection, Occupied, inspecting
from common.broker.wire import Delivery

__all__ = ["MOST_IN_HAND", "Broker", "Delivery", "Inspection", "Occupied", "inspecting"]
