"""What the company's customers ask for: the subscribers, and their calls."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from aiohttp import web

from harness.service.answers import abort, faulty, hang, json_answer
from harness.service.asked import Refused, count_of, day_of, days_of
from harness.service.calls import calls_of, rows_between
from harness.service.faults import Fault, decide
from harness.service.subscribers import MOST_PER_PAGE, PER_PAGE, numbered_page, page_from_cursor

if TYPE_CHECKING:
    from datetime import date

    from harness.service.state import State

LOGGED_SUBSCRIBERS = 50


class Company:
    """The handlers of the company's own paths; the faults are about these."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def subscribers(self, request: web.Request) -> web.Response:
        """Answer a page, by number or by cursor; the next one's address is in body and Link header."""
        query, everyone = request.query, self._state.everyone
        per_page = count_of(query, "per_page", PER_PAGE, MOST_PER_PAGE)
        try:
            page = (
                page_from_cursor(everyone, query["cursor"], per_page)
                if "cursor" in query
                else numbered_page(everyone, count_of(query, "page", 1, 999_999_999), per_page)
            )
        except ValueError as error:
            raise Refused(400, str(error)) from error
        headers = {"Link": f'<{request.url.origin()}{page.next}>; rel="next"'} if page.next else None
        return json_answer(asdict(page), headers=headers)

    async def all_subscribers(self, _request: web.Request) -> web.Response:
        """Answer the whole list, as a bare array."""
        return web.Response(body=self._everyone_json, content_type="application/json")

    @cached_property
    def _everyone_json(self) -> bytes:
        return json.dumps([asdict(subscriber) for subscriber in self._state.everyone]).encode()

    async def calls(self, request: web.Request) -> web.Response:
        """Answer one subscriber's calls of a day, or what the faults make of them."""
        counters = self._state.counters
        counters.calls_began()
        try:
            return await self._calls(request.match_info["tel"], request)
        finally:
            counters.calls_ended()

    async def _calls(self, tel: str, request: web.Request) -> web.Response:
        state = self._state
        if tel not in state.known:
            raise Refused(404, "There is no subscriber with this number.")
        turn = state.counters.subscriber_asked(tel)
        day = day_of(request.query, "day")
        fault, delay_s = decide(state.faults, state.options.seed, turn)
        if delay_s > 0:
            async with state.line:
                await asyncio.sleep(delay_s)
        if fault:
            state.counters.fault_met(fault)
            return await self._meet(fault, tel, day, request)
        calls = [
            {"at": call.at, "to": call.to, "seconds": call.seconds} for call in calls_of(state.options.seed, tel, day)
        ]
        return json_answer({"tel": tel, "day": day.isoformat(), "calls": calls})

    async def _meet(self, fault: Fault, tel: str, day: date, request: web.Request) -> web.Response:
        if fault is Fault.RESET:
            abort(request.transport)
        if fault in {Fault.RESET, Fault.HANG}:
            await hang()
        return faulty(fault, self._state.faults, {"tel": tel, "day": day.isoformat()})

    async def call_log(self, request: web.Request) -> web.Response:
        """Answer every call of the first subscribers that starts in [start, end)."""
        state = self._state
        start, end = days_of(request.query)
        if state.faults.latency_ms > 0:
            await asyncio.sleep(state.faults.latency_ms / 1000)
        tels = [subscriber.tel for subscriber in state.everyone[:LOGGED_SUBSCRIBERS]]
        return json_answer({"rows": [asdict(row) for row in rows_between(state.options.seed, tels, start, end)]})

    async def nowhere(self, request: web.Request) -> web.Response:
        """Refuse a path that leads nowhere."""
        raise Refused(404, f"There is nothing to {request.method} at {request.path}.")
