"""One address for both services, as behind an ingress; it can refuse streams, as some proxies do."""

import asyncio
from types import TracebackType
from typing import Self

from aiohttp import ClientSession, ClientTimeout, web
from yarl import URL

from tests.deployment import Service

_HOP_BY_HOP = {"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"}


class Ingress:
    """Passes on what comes, piece by piece, to the service that has the path."""

    def __init__(self, gateway: Service, reader: Service, *, streams: bool = True) -> None:
        self.url = ""
        #: The paths that were asked for.
        self.asked: list[str] = []
        self._gateway, self._reader, self._streams = gateway.url, reader.url, streams
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        self._http = ClientSession(timeout=ClientTimeout(total=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._http.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if not self._streams and request.headers.get("Accept") == "text/event-stream":
            return web.Response(status=403, text="<h1>Forbidden</h1>", content_type="text/html")
        service = self._reader if request.path.startswith("/v1/results") else self._gateway
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with self._http.request(
            request.method, _at(service, request), headers=headers, data=await request.read()
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
                await asyncio.sleep(0)
        return response


def _at(service: URL, request: web.Request) -> URL:
    return service.join(request.rel_url)
