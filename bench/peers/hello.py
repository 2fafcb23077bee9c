"""The floor: a small JSON answer on aiohttp and uvloop, and nothing behind it."""

import os

import uvloop
from aiohttp import web


async def hello(_: web.Request) -> web.Response:
    return web.json_response({"hello": "world"})


def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/hello", hello), web.post("/hello", hello)])
    port = int(os.environ["HTTP_PORT"])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
