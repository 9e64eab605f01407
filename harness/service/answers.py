"""How a request is answered, wrongly answered, or left without an answer."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from harness.service.faults import Fault
from harness.service.quota import retry_date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.service.faults import Faults

NOT_JSON = b"<html><body>The exchange is closed for lunch.</body></html>"
# Linger for no time: closing sends RST, not FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer whose body is the value as JSON."""
    return web.Response(
        body=json.dumps(value).encode(), status=status, headers=headers, content_type="application/json"
    )


def throttled(wait_s: int, faults: Faults) -> web.Response:
    """Return a 429 whose Retry-After is in seconds, or the date that the faults want instead."""
    retry_after = retry_date(wait_s, time.time()) if faults.retry_after_date else str(wait_s)
    return json_answer({"error": "Too many calls."}, status=429, headers={"Retry-After": retry_after})


def faulty(fault: Fault, faults: Faults, answer: Mapping[str, object]) -> web.Response:
    """Return what comes instead of the answer; ``answer`` has all of it but the calls."""
    match fault:
        case Fault.ERROR:
            return json_answer({"error": "The exchange burns."}, status=500)
        case Fault.THROTTLE:
            return throttled(faults.retry_after_s, faults)
        case Fault.INVALID:
            return web.Response(body=NOT_JSON, content_type="application/json")
        case Fault.NULL:
            return json_answer({**answer, "calls": None})
        case Fault.LARGE:
            return json_answer({**answer, "calls": [], "padding": "x" * (faults.large_mb * 1_000_000)})
    return json_answer(answer)


async def hang() -> NoReturn:
    """Give no answer; the handler ends when the client goes away."""
    while True:
        await asyncio.Event().wait()


def abort(transport: asyncio.Transport | None) -> None:
    """Reset the connection."""
    if transport is None:
        return
    if connection := transport.get_extra_info("socket"):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()
