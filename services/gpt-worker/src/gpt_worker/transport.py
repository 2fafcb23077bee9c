"""How the calls of the model travel: over one session of aiohttp, with as many connections as there are calls.

The openai client takes any transport of httpx2. The usual one looks through all of its connections for each call, and
bounds how many there are; docs/adr/0018-calls-of-the-model-over-aiohttp.md has the figures.
"""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from multidict import CIMultiDict

#: Who accepts these reads the answer as it comes.
EVENTS = "text/event-stream"
#: Seconds; an upstream that cannot be reached in this time is away.
CONNECT_TIMEOUT_S = 10
#: Seconds that an unused connection is kept: less than the 5 s after which many servers close theirs. A call that
#: meets with that moment is lost.
KEPT_S = 4
#: Heads that are remembered: two for each key, unless somebody redirects us.
MOST_HEADS = 1000


def new_client(base_url: str, timeout_s: float) -> httpx2.AsyncClient:
    """A client for every key, to be closed once. Needs a running event loop."""
    return _Client(
        transport=AiohttpTransport(proxy_for(base_url)),
        timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        follow_redirects=True,
    )


class _Client(httpx2.AsyncClient):
    """Sends at once what needs no more than that: there is no password, no cookie, and hardly ever a redirect."""

    def __init__(self, *, transport: httpx2.AsyncBaseTransport, **told: Any) -> None:
        super().__init__(transport=transport, **told)
        self._sends = transport.handle_async_request

    async def send(self, request: httpx2.Request, *, stream: bool = False, **told: Any) -> httpx2.Response:
        response = await self._sends(request)
        if not response.has_redirect_location:
            return response
        await response.aclose()
        # Asked again, since only the whole client knows how to follow.
        return await super().send(request, stream=stream, **told)


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends each request at once, on a connection of its own."""

    def __init__(self, proxy: str | None) -> None:
        # The certificates are those that httpx2 trusts, SSL_CERT_FILE among them.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S, ssl=httpx2.create_ssl_context())
        self._heads: dict[tuple[tuple[bytes, bytes], ...], CIMultiDict[str]] = {}
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # httpx2 sees to them
            auto_decompress=False,  # and to this
            proxy=proxy,
            # How long the answer may take, each call says around itself.
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer, with its body if that is not to be read as it comes; raises TransportError."""
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=self._head_of(request),
                data=request.read(),
                allow_redirects=False,
            )
            head: dict[str, Any] = {"headers": response.raw_headers, "request": request}
            if request.headers.get("Accept") == EVENTS:
                return httpx2.Response(response.status, stream=_Body(response), **head)
            async with response:
                return httpx2.Response(response.status, content=await response.read(), **head)
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from error

    def _head_of(self, request: httpx2.Request) -> CIMultiDict[str]:
        """The headers, as aiohttp wants them; they are the same again and again."""
        raw = tuple(request.headers.raw)
        head = self._heads.get(raw)
        if head is None:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            head = self._heads[raw] = CIMultiDict(request.headers.multi_items())
        return head

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Body(httpx2.AsyncByteStream):
    """A body as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.content.iter_any():
                yield part
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from error

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end."""
        self._response.close()


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL. aiohttp would ask it, and read ~/.netrc, for each call."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy or None


def _translated(error: Exception) -> httpx2.TransportError:
    """Of aiohttp's errors those of httpx2 that say the same."""
    # The first is a TimeoutError too, but who is not reached in so long a time is away, not slow.
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        return httpx2.ConnectError("not reached")
    if isinstance(error, TimeoutError):
        return httpx2.ReadTimeout("no answer in time")
    return httpx2.NetworkError("the connection was lost")
