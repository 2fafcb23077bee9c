"""`make ask`: submit a prompt, show that it is being worked on, print the answer.

Nothing but the standard library, so that it also works where the services run in Docker.
"""

import http.client
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 60.0
TERMINAL = {"completed", "failed", "cancelled"}

# The services are on this machine or beside it; a proxy would look for them in vain.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RefusedError(Exception):
    """What came back is an error in the services' shape, or no answer of theirs at all."""


class UnavailableError(RefusedError):
    """As `RefusedError`, but worth another try after so many seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StatusLine:
    """One line on the terminal that counts the seconds; nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self.status = "submitting"
        self.on_terminal = sys.stderr.isatty()

    @contextmanager
    def shown(self) -> Iterator[None]:
        done = threading.Event()
        ticking = threading.Thread(target=self._tick, args=(done,), daemon=True)
        ticking.start()
        try:
            yield
        finally:
            done.set()
            ticking.join()

    def _tick(self, done: threading.Event) -> None:
        began = time.monotonic()
        while self.on_terminal and not done.wait(0.2):
            waited = time.monotonic() - began
            print(f"\r\033[K{self.status} … {waited:.0f} s", end="", file=sys.stderr, flush=True)
        if self.on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def ask(msg: str, environ: Mapping[str, str]) -> int:
    """The exit status: 0 with the answer printed, 1 with the reason on standard error."""
    gateway = _base(environ, "GATEWAY_URL", "GATEWAY_PORT", 8080)
    reader = _base(environ, "READER_URL", "READER_PORT", 8081)
    headers = {"Authorization": f"Bearer {environ['API_KEY']}"} if environ.get("API_KEY") else {}
    line = StatusLine()
    try:
        with line.shown():
            record = _request(f"{gateway}/v1/jobs", headers, {"msg": msg})
            record = _finished(record, reader, headers, line)
    except RefusedError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"No longer waiting; last seen: {line.status}.", file=sys.stderr)
        return 130  # as a shell has it for SIGINT
    if record["status"] == "completed":
        print(record["output_text"])
        return 0
    print(f"{record['status']}: {_reason(record)}", file=sys.stderr)
    return 1


def _base(environ: Mapping[str, str], url: str, port: str, default_port: int) -> str:
    return (environ.get(url) or f"http://127.0.0.1:{environ.get(port) or default_port}").rstrip("/")


def _finished(record: dict[str, Any], reader: str, headers: dict[str, str], line: StatusLine) -> dict[str, Any]:
    """The record once it is terminal."""
    address = reader + urlsplit(record["urls"]["result"]).path
    # The answer comes at once either way; short waits keep the status that is shown fresh.
    wait_s = 2 if line.on_terminal else 20
    while record["status"] not in TERMINAL:
        line.status = record["status"]
        try:
            record = _request(f"{address}?wait={wait_s}", headers)
        except UnavailableError as problem:
            line.status = str(problem)
            time.sleep(problem.retry_after_s)
    return record


def _request(url: str, headers: dict[str, str], body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """POST with a body, GET without; the JSON object that comes back with a good status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**headers, "Content-Type": "application/json"})
    try:
        with _opener.open(request, timeout=PATIENCE_S) as response:
            return _document(response.read(), url, response.status)
    except urllib.error.HTTPError as response:
        document = _document(response.read(), url, response.code)
        if response.code in {429, 503} and body is None:
            retry_after_s = float(response.headers.get("Retry-After") or 1)
            raise UnavailableError(_reason(document), retry_after_s) from None
        raise RefusedError(f"{response.code} {_reason(document)}") from None
    except urllib.error.URLError as problem:
        raise RefusedError(f"{url}: {problem.reason}. Is `make run` running?") from None
    except (OSError, http.client.HTTPException) as problem:  # it hung up before, or in the middle of, its answer
        raise UnavailableError(f"{url}: {problem!r}", 1.0) from None


def _document(text: bytes, url: str, status: int) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    raise RefusedError(f"{url} answered {status} and no JSON object; is that our service?")


def _reason(document: Mapping[str, Any]) -> str:
    """The error's code and message, and the field it is about."""
    error = document.get("error") or {}
    about = f" (in {error['param']})" if error.get("param") else ""
    return f"{error.get('code', 'no code')}: {error.get('message', 'no message')}{about}"
