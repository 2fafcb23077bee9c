"""The routes by which clients end their jobs."""

from aiohttp import web

from common.auth import Clients
from common.errors import RETRY_AFTER_S
from common.replies import Reply
from gateway.ending import Ending


class EndingRoutes:
    """One method a route."""

    def __init__(self, clients: Clients, ending: Ending) -> None:
        self._clients = clients
        self._ending = ending

    def routes(self) -> list[web.RouteDef]:
        """Below the path of submissions, so that an ingress sends them here."""
        return [web.post("/v1/jobs/{id}/cancel", self.cancel), web.delete("/v1/jobs/{id}", self.delete)]

    async def cancel(self, request: web.Request) -> web.Response:
        """`POST /v1/jobs/{id}/cancel`: the record, terminal unless the job's worker could not be reached yet."""
        client = self._clients.of(request.headers.get("Authorization"))
        found = await self._ending.cancel(request.match_info["id"], client)
        headers = {} if found.is_terminal else {"Retry-After": str(RETRY_AFTER_S)}
        return Reply(found.body, headers=headers).response()

    async def delete(self, request: web.Request) -> web.Response:
        """`DELETE /v1/jobs/{id}`: 204 when nothing is left of the job."""
        client = self._clients.of(request.headers.get("Authorization"))
        await self._ending.delete(request.match_info["id"], client)
        return web.Response(status=204)
