"""The page at `/` for trying the service in a browser: a few files, read at the start, nothing of another host."""

import html
from collections.abc import Awaitable, Callable
from importlib.resources import files

from aiohttp import web

from gateway.settings import GatewaySettings

PAGE = "index.html"
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
PARTS = ("style.css", "page.js", "api.js", "events.js", "turn.js")


def routes(settings: GatewaySettings) -> list[web.RouteDef]:
    """The page and its parts, if it is to be there at all."""
    if not settings.playground:
        return []
    page = _read(PAGE)
    for name, value in {
        "results_url": settings.playground_results_url or "",
        "keys_wanted": "yes" if settings.api_keys else "no",
    }.items():
        page = page.replace(f"{{{{{name}}}}}", html.escape(value))
    headers = _headers(settings.playground_results_url)
    # Relative to the page, so that it may stand anywhere behind an ingress.
    parts = [web.get(f"/playground/{name}", _file(name, _read(name), headers)) for name in PARTS]
    return [web.get("/", _file(PAGE, page, headers)), *parts]


def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def _file(name: str, text: str, headers: dict[str, str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    content_type = TYPES[name.rpartition(".")[2]]

    async def send(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type, headers=headers)

    return send


def _headers(results_url: str | None) -> dict[str, str]:
    """Its own files and the services are all that the page may use, and no other page may frame it."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": f"'self' {results_url or ''}".rstrip(),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
