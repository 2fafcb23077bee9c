"""HTTP as the contract has it: every answer is JSON, every error has one shape, and some are worth another try."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from gpt_jobs.errors import ApiError, GptJobsError, Unreachable
from gpt_jobs.jobs import JobError
from gpt_jobs.retries import Retries

#: What a proxy says for a service that is away or being exchanged.
_FROM_A_PROXY = {429, 502, 503, 504}


class Transport:
    """Makes requests on one session, and tries again those that may succeed later."""

    def __init__(self, session: aiohttp.ClientSession, timeout_s: float, patience_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._patience_s = patience_s

    def retries(self) -> Retries:
        """The tries of one piece of work."""
        return Retries(self._patience_s)

    async def request(
        self,
        method: str,
        url: URL,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        hold_s: float = 0,
    ) -> dict[str, Any]:
        """The JSON that comes back, or {} for none; tried again while that helps.

        The server may hold the request for `hold_s` seconds.
        """
        retries = self.retries()
        while True:
            try:
                return await self.once(method, url, body=body, headers=headers, hold_s=hold_s)
            except GptJobsError as error:
                await retries.pause(error)

    async def once(
        self,
        method: str,
        url: URL,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        hold_s: float = 0,
    ) -> dict[str, Any]:
        """As `request`, without a second try."""
        timeout = aiohttp.ClientTimeout(total=self._timeout_s + hold_s)
        async with self._answered(method, url, json=body, headers=headers, timeout=timeout) as response:
            raw = await response.read()
            return _document(raw, response) if raw else {}

    @asynccontextmanager
    async def stream(
        self, url: URL, headers: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer to read piece by piece, each of which comes within `silence_s`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=silence_s)
        async with self._answered("GET", url, headers=headers, timeout=timeout) as response:
            yield response

    @asynccontextmanager
    async def _answered(self, method: str, url: URL, **request: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no error; raises ApiError and Unreachable."""
        try:
            # A redirected POST would become a GET, and a key might go where it should not.
            async with self._session.request(method, url, allow_redirects=False, **request) as response:
                if not 200 <= response.status < 300:
                    raise _error(await response.read(), response)
                yield response
        except aiohttp.ClientConnectorCertificateError as problem:
            raise Unreachable(f"{url.origin()}: {problem}", retryable=False) from problem
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as problem:
            raise Unreachable(f"{url.origin()}: {problem}") from problem
        except TimeoutError as problem:
            raise Unreachable(f"{url.origin()} did not answer in time") from problem


def _error(raw: bytes, response: aiohttp.ClientResponse) -> GptJobsError:
    """The error that the service tells; from something else at its address, what its status tells."""
    try:
        error = JobError.read(json.loads(raw)["error"])
    except (ValueError, KeyError, TypeError):
        problem = f"{response.url.origin()} answered {response.status} and none of the service's errors"
        unreachable = Unreachable(problem, retryable=response.status in _FROM_A_PROXY)
        unreachable.retry_after_s = _retry_after_s(response)
        return unreachable
    return ApiError(error, response.status, _retry_after_s(response))


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """The seconds of `Retry-After`; the other form, a date, is never sent by the service."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _document(raw: bytes, response: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    raise Unreachable(f"{response.url.origin()} answered {response.status} and no JSON object", retryable=False)
