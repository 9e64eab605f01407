"""What a SaaS company's customers ask for: a token, the list of customers, and the invoices of each, page by page."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from harness.service.answers import NOT_JSON, abort, faulty, hang, json_answer
from harness.service.asked import Refused, count_of, day_of
from harness.service.faults import Fault, decide
from harness.service.invoices import CursorUnknown, page_of
from harness.service.tokens import GrantRefused

if TYPE_CHECKING:
    from harness.service.state import State

CUSTOMERS_PER_PAGE = 500


class Billing:
    """The handlers of the SaaS company's own paths."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def token(self, request: web.Request) -> web.Response:
        """Answer a new token, or what the faults make of it."""
        state, faults = self._state, self._state.faults
        if not state.issuer.is_on:
            raise Refused(404, "There are no tokens here: start the service with a client_id.")
        if faults.token_down:
            abort(request.transport)
            await hang()
        if faults.token_html:
            return web.Response(body=NOT_JSON, content_type="text/html")
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            answer = state.issuer.issue(form, request.headers.get("Authorization"), faults, state.clock())
        except GrantRefused as refused:
            state.counters.tokens.refused += 1
            return json_answer({"error": refused.error}, status=refused.status)
        state.counters.tokens.issued += 1
        return json_answer(answer, headers={"Cache-Control": "no-store"})

    async def customers(self, request: web.Request) -> web.Response:
        """Answer a page of the active customers, by its number; behind the last one they are empty."""
        page = count_of(request.query, "page", 1, 999_999_999)
        start = (page - 1) * CUSTOMERS_PER_PAGE
        cut = self._state.customers[start : start + CUSTOMERS_PER_PAGE]
        return json_answer({"data": [asdict(customer) for customer in cut if customer.active]})

    async def invoices(self, request: web.Request) -> web.Response:
        """Answer a page of one customer's invoices of a day, or what the faults make of it."""
        state, customer = self._state, request.match_info["id"]
        day = day_of(request.query, "day")
        if customer not in state.active:
            raise Refused(404, "There is no such customer.")
        try:
            page = page_of(state.options.seed, customer, day, request.query.get("cursor"))
        except CursorUnknown as error:
            raise Refused(400, str(error)) from error
        name = f"{customer}/{day}/{page.number}"
        state.counters.pages.arrived(name)
        fault, delay_s = decide(state.faults, state.options.seed, state.counters.subscriber_asked(name))
        await asyncio.sleep(delay_s)
        if fault := state.faults.always.get(customer, fault):
            return await self._meet(fault, request)
        state.counters.pages.answered(name)
        return json_answer(page.as_json())

    async def _meet(self, fault: Fault, request: web.Request) -> web.Response:
        self._state.counters.fault_met(fault)
        if fault is Fault.RESET:
            abort(request.transport)
        if fault in {Fault.RESET, Fault.HANG}:
            await hang()
        return faulty(fault, self._state.faults, {"data": None, "next_cursor": None})
