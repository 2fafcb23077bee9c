"""A stand-in for percona/mongodb_exporter, which neither Debian nor a Python package has in a version of these years.

It asks the real server, and tells what it says under the names that the exporter (0.40 and newer) makes of it:
`mongodb_` and the path in serverStatus, `ss` for that itself and `wt` for wiredTiger; the last part of some paths is
a label. Only what the dashboards name is here, and its names were read in the exporter's source, not scraped.
"""

import asyncio
from typing import Any

import pymongo
from aiohttp import web
from pymongo.errors import PyMongoError

PATIENCE_MS = 1000


class MongodbExporter:
    """Serves /metrics about one server."""

    def __init__(self, url: str) -> None:
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            url, serverSelectionTimeoutMS=PATIENCE_MS, timeoutMS=PATIENCE_MS
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def application(self) -> web.Application:
        """The door."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text="\n".join(await asyncio.to_thread(self._lines)) + "\n")

    def _lines(self) -> list[str]:
        try:
            status = self._client.admin.command("serverStatus")
        except PyMongoError:
            return ['mongodb_up{cluster_role=""} 0']
        cache = status["wiredTiger"]["cache"]
        samples = {
            'mongodb_up{cluster_role="mongod"}': 1,
            **_labelled("mongodb_ss_connections", "conn_type", status["connections"]),
            **_labelled("mongodb_ss_opcounters", "legacy_op_type", status["opcounters"]),
            **_labelled("mongodb_ss_globalLock_currentQueue", "count_type", status["globalLock"]["currentQueue"]),
            "mongodb_ss_wt_cache_bytes_currently_in_the_cache": cache["bytes currently in the cache"],
            "mongodb_ss_wt_cache_maximum_bytes_configured": cache["maximum bytes configured"],
            "mongodb_ss_mem_resident": status["mem"]["resident"],
            "mongodb_ss_metrics_ttl_deletedDocuments": status["metrics"]["ttl"]["deletedDocuments"],
        }
        return [f"{name} {value}" for name, value in samples.items()]


def _labelled(name: str, label: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f'{name}{{{label}="{key}"}}': value for key, value in values.items() if isinstance(value, int | float)}
