"""MongoDB: the one place that imports motor, pymongo and bson. Their exceptions never leave this package.

motor is at the end of its life; PyMongo's own asynchronous client has the same calls, so that moving to it
is a change of this package.
"""

from common.store.records import Store

__all__ = ["Store"]
