"""The service on a socket: it listens, says where, and serves until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import signal
import ssl
import sys
from typing import TYPE_CHECKING, cast

from aiohttp import web

from harness.service.routes import Service

if TYPE_CHECKING:
    from harness.service.options import Options

BACKLOG = 4096
# Requests that hang on purpose would never end by themselves.
SHUTDOWN_S = 0.2


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; once listening, print one JSON line with the address."""
    _allow_all_descriptors()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    service = Service(options)
    runner = web.AppRunner(
        service.application(), access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    listener = await _listen(runner, service, options)
    # The subscribers live as long as the process does: no need to look at them again and again.
    gc.freeze()
    sys.stdout.write(json.dumps({"url": _url(listener, options)}) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    listener.close()
    await runner.cleanup()


async def _listen(runner: web.AppRunner, service: Service, options: Options) -> asyncio.Server:
    # There from setup() on.
    handle = cast("web.Server", runner.server)

    def accept() -> asyncio.Protocol:
        service.state.counters.connection_accepted()
        return handle()

    return await asyncio.get_running_loop().create_server(
        accept, options.host, options.port, ssl=_tls(options), backlog=BACKLOG
    )


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.certfile is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certfile, options.keyfile)
    return context


def _url(listener: asyncio.Server, options: Options) -> str:
    port = listener.sockets[0].getsockname()[1]
    return f"{'https' if options.certfile else 'http'}://{options.host}:{port}"


def _allow_all_descriptors() -> None:
    # A test that starves the client of descriptors must not starve the service.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
