"""Lets pages of other origins read results, those of `CORS_ORIGINS`; without any, nothing is said about it."""

from collections.abc import Collection

from aiohttp import hdrs, web

#: Seconds for which a browser need not ask again.
MAX_AGE_S = 600
EXPOSED = "ETag, Retry-After, X-Request-Id"
ASKED = "Authorization, If-None-Match, Last-Event-ID, X-Request-Id"


def allow(app: web.Application, origins: Collection[str]) -> None:
    """Answer what browsers ask on behalf of such pages. Only reading is allowed, and no cookies are."""
    if not origins:
        return

    async def name_the_origin(request: web.Request, response: web.StreamResponse) -> None:
        if not request.path.startswith("/v1/results"):
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if request.headers.get(hdrs.ORIGIN) in origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED

    async def preflight(request: web.Request) -> web.Response:
        if request.headers.get(hdrs.ORIGIN) not in origins:
            return web.Response(status=204)
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ASKED,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_S),
        }
        return web.Response(status=204, headers=headers)

    app.on_response_prepare.append(name_the_origin)
    app.router.add_options("/v1/results{rest:.*}", preflight)
