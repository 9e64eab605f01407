"""The service's answers: each handler reads a request, asks the pure parts, and writes what they say."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from harness.service.asked import Refused, count_of, day_of, days_of
from harness.service.auth import allows
from harness.service.calls import calls_of, rows_between
from harness.service.counters import CALLS, Counters
from harness.service.faults import Fault, FaultsRefused, decide
from harness.service.line import Line
from harness.service.pace import Pace
from harness.service.quota import RESET_S, Quota, retry_date
from harness.service.subscribers import MOST_PER_PAGE, PER_PAGE, numbered_page, page_from_cursor, roster

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from harness.service.faults import Faults
    from harness.service.options import Options

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOGGED_SUBSCRIBERS = 50
# The call log and the observers' paths stay up.
FALLING = frozenset({CALLS, "/subscribers", "/subscribers.json"})
CHALLENGE = {"WWW-Authenticate": "Bearer"}
NOT_JSON = b"<html><body>The exchange is closed for lunch.</body></html>"
# Linger for no time: closing sends RST, not FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Service:
    """The state of a running service, and its handlers."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.faults = options.faults
        self.clock = asyncio.get_running_loop().time
        self.counters = Counters(Pace(self.clock()))
        self.quota = Quota()
        self.line = Line(options.faults.queue)
        self.everyone = roster(options.seed, options.subscribers)
        self.known = frozenset(one.tel for one in self.everyone)

    def application(self) -> web.Application:
        """Return the web application with all routes."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/subscribers", self._counted("/subscribers", self.subscribers)),
                web.get("/subscribers.json", self._counted("/subscribers.json", self.all_subscribers)),
                web.get("/calls/{tel}", self._counted(CALLS, self.calls)),
                web.get("/call-log", self._counted("/call-log", self.call_log)),
                web.get("/healthz", self._observed(self.health, needs_token=False)),
                web.get("/stats", self._observed(self.stats)),
                web.delete("/stats", self._observed(self.reset_stats)),
                web.get("/stats/asked", self._observed(self.asked)),
                web.get("/faults", self._observed(self.show_faults)),
                web.put("/faults", self._observed(self.change_faults)),
                web.delete("/faults", self._observed(self.restore_faults)),
                web.route("*", "/{path:.*}", self._counted("elsewhere", self.nowhere)),
            ]
        )
        return app

    def _counted(self, path: str, handler: Handler) -> Handler:
        falls, has_quota = path in FALLING, path == CALLS

        async def answer(request: web.Request) -> web.StreamResponse:
            # Read once, so that the counts and the quota agree on the second.
            now = self.clock()
            self.counters.request_arrived(path, request.transport, now)
            if falls and self.faults.down:
                self.counters.request_refused()
                _abort(request.transport)
                await _hang()
            status = None
            try:
                if has_quota and self.faults.limit_per_s:
                    response = await self._limited(handler, request, now)
                else:
                    response = await self._guarded(handler, request)
                status = response.status
                return response
            finally:
                self.counters.request_ended(status, now)

        return answer

    async def _limited(self, handler: Handler, request: web.Request, now: float) -> web.StreamResponse:
        standing = self.quota.ask(now, self.faults.limit_per_s)
        headers = standing.headers() if self.faults.quota_headers else {}
        response = await self._guarded(handler, request) if standing.within else self._throttled(RESET_S)
        response.headers.update(headers)
        return response

    def _observed(self, handler: Handler, *, needs_token: bool = True) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.counters.observed(request.transport)
            return await (self._guarded(handler, request) if needs_token else handler(request))

        return answer

    async def _guarded(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        try:
            self._check_token(request)
            return await handler(request)
        except Refused as refused:
            return _json({"error": refused.sentence}, status=refused.status, headers=refused.headers)

    def _check_token(self, request: web.Request) -> None:
        if not allows(self.options.token, request.headers.get("Authorization")):
            raise Refused(401, "The service wants its token: as bearer, or as basic's password.", CHALLENGE)

    async def subscribers(self, request: web.Request) -> web.Response:
        """Answer a page, by number or by cursor; the next one's address is in body and Link header."""
        query = request.query
        per_page = count_of(query, "per_page", PER_PAGE, MOST_PER_PAGE)
        try:
            page = (
                page_from_cursor(self.everyone, query["cursor"], per_page)
                if "cursor" in query
                else numbered_page(self.everyone, count_of(query, "page", 1, 999_999_999), per_page)
            )
        except ValueError as error:
            raise Refused(400, str(error)) from error
        headers = {"Link": f'<{request.url.origin()}{page.next}>; rel="next"'} if page.next else None
        return _json(asdict(page), headers=headers)

    async def all_subscribers(self, _request: web.Request) -> web.Response:
        """Answer the whole list, as a bare array."""
        return web.Response(body=self._everyone_json, content_type="application/json")

    @cached_property
    def _everyone_json(self) -> bytes:
        return json.dumps([asdict(one) for one in self.everyone]).encode()

    async def calls(self, request: web.Request) -> web.Response:
        """Answer one subscriber's calls of a day, or what the faults make of them."""
        self.counters.calls_began()
        try:
            return await self._calls(request.match_info["tel"], request)
        finally:
            self.counters.calls_ended()

    async def _calls(self, tel: str, request: web.Request) -> web.Response:
        if tel not in self.known:
            raise Refused(404, "There is no subscriber with this number.")
        turn = self.counters.subscriber_asked(tel)
        day = day_of(request.query, "day")
        fault, delay_s = decide(self.faults, self.options.seed, turn)
        if delay_s > 0:
            async with self.line:
                await asyncio.sleep(delay_s)
        if fault:
            self.counters.fault_met(fault)
            return await self._faulty(fault, tel, day.isoformat(), request)
        calls = [
            {"at": call.at, "to": call.to, "seconds": call.seconds} for call in calls_of(self.options.seed, tel, day)
        ]
        return _json({"tel": tel, "day": day.isoformat(), "calls": calls})

    async def _faulty(self, fault: Fault, tel: str, day: str, request: web.Request) -> web.Response:
        if fault is Fault.RESET:
            _abort(request.transport)
        if fault in {Fault.RESET, Fault.HANG}:
            await _hang()
        return self._misleading(fault, {"tel": tel, "day": day})

    def _misleading(self, fault: Fault, answer: dict[str, object]) -> web.Response:
        match fault:
            case Fault.ERROR:
                return _json({"error": "The exchange burns."}, status=500)
            case Fault.THROTTLE:
                return self._throttled(self.faults.retry_after_s)
            case Fault.INVALID:
                return web.Response(body=NOT_JSON, content_type="application/json")
            case Fault.NULL:
                return _json({**answer, "calls": None})
            case Fault.LARGE:
                return _json({**answer, "calls": [], "padding": "x" * (self.faults.large_mb * 1_000_000)})
        return _json(answer)

    def _throttled(self, wait_s: int) -> web.Response:
        retry_after = retry_date(wait_s, time.time()) if self.faults.retry_after_date else str(wait_s)
        return _json({"error": "Too many calls."}, status=429, headers={"Retry-After": retry_after})

    async def call_log(self, request: web.Request) -> web.Response:
        """Answer every call of the first subscribers that starts in [start, end)."""
        start, end = days_of(request.query)
        if self.faults.latency_ms > 0:
            await asyncio.sleep(self.faults.latency_ms / 1000)
        tels = [one.tel for one in self.everyone[:LOGGED_SUBSCRIBERS]]
        return _json({"rows": [asdict(row) for row in rows_between(self.options.seed, tels, start, end)]})

    async def nowhere(self, request: web.Request) -> web.Response:
        """Refuse a path that leads nowhere."""
        raise Refused(404, f"There is nothing to {request.method} at {request.path}.")

    async def health(self, _request: web.Request) -> web.Response:
        """Answer that the service is there."""
        return _json({"status": "ok"})

    async def stats(self, _request: web.Request) -> web.Response:
        """Answer the counts."""
        return _json(self.counters.as_json(self.clock()))

    async def asked(self, _request: web.Request) -> web.Response:
        """Answer how many times each subscriber's calls were asked for."""
        return _json(dict(self.counters.asked))

    async def reset_stats(self, _request: web.Request) -> web.Response:
        """Begin counting anew."""
        now = self.clock()
        self.counters.reset(now)
        return _json(self.counters.as_json(now))

    async def show_faults(self, _request: web.Request) -> web.Response:
        """Answer the faults in force."""
        return _json(self.faults.as_json())

    async def change_faults(self, request: web.Request) -> web.Response:
        """Change the faults that the body names, leave the others, and answer them all."""
        try:
            changes = await request.json()
            if not isinstance(changes, dict):
                raise FaultsRefused("faults", "are changed by a JSON object of settings")
            self._take(self.faults.changed(changes))
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return _json(self.faults.as_json())

    async def restore_faults(self, _request: web.Request) -> web.Response:
        """Go back to the faults that the service started with."""
        self._take(self.options.faults)
        return _json(self.faults.as_json())

    def _take(self, faults: Faults) -> None:
        self.faults = faults
        self.line.resize(faults.queue)


def _json(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(value).encode(), status=status, headers=headers, content_type="application/json"
    )


async def _hang() -> NoReturn:
    # The client's absence ends the handler.
    while True:
        await asyncio.Event().wait()


def _abort(transport: asyncio.Transport | None) -> None:
    if transport is None:
        return
    if connection := transport.get_extra_info("socket"):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()
