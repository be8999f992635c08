"""The reference of the location benchmark: an empty aiohttp handler on uvloop, without an access log.

``python -m tests.bench.reference_http``; the port is OPS_PORT's.
"""

import asyncio
import os

import uvloop
from aiohttp import web


async def empty(_: web.Request) -> web.Response:
    """Answer nothing."""
    return web.Response()


async def ready(_: web.Request) -> web.Response:
    """Say that clients may connect."""
    return web.json_response({"pid": os.getpid()})


async def serve(app: web.Application) -> None:
    """Serve until the process is ended."""
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["OPS_PORT"]), backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    nothing = web.Application()
    nothing.router.add_get("/{any:.*}", empty)
    uvloop.run(serve(nothing))
