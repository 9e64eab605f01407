"""Calls of many subscribers in one request: as JSON, and as a GraphQL query, which always answers 200."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any

from harness.service.answers import abort, faulty, hang, json_answer
from harness.service.asked import Refused
from harness.service.calls import calls_of
from harness.service.faults import Fault, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from harness.service.state import State

MOST_AT_ONCE = 50


class Searches:
    """The handlers of requests for many; what they ask for counts for each subscriber."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def calls(self, request: web.Request) -> web.Response:
        """Answer the calls of the subscribers that exist, by their numbers."""
        order = await _order(request)
        return await self._met(request, order["tels"]) or json_answer({"found": self._found(order)})

    async def graphql(self, request: web.Request) -> web.Response:
        """Answer ``subscribers(tels: $tels, day: $day)``, or the errors of the query."""
        order = (await _order(request, "query", "variables"))["variables"]
        try:
            if met := await self._met(request, order["tels"]):
                return met
            return json_answer({"data": {"subscribers": self._found(order)}})
        except Refused as refused:
            return json_answer({"data": None, "errors": [{"message": refused.sentence}]})

    async def _met(self, request: web.Request, tels: Sequence[str]) -> web.Response | None:
        """Count the subscribers that are asked for, and return the fault that the request meets, if it meets one."""
        state = self._state
        if not tels or len(tels) > MOST_AT_ONCE:
            raise Refused(413, f"Ask for 1 to {MOST_AT_ONCE} subscribers at once.")
        turns = [state.counters.subscriber_asked(tel) for tel in tels]
        fault, delay_s = decide(state.faults, state.options.seed, turns[0])
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        if not fault:
            return None
        state.counters.fault_met(fault)
        if fault is Fault.RESET:
            abort(request.transport)
        if fault in {Fault.RESET, Fault.HANG}:
            await hang()
        return faulty(fault, state.faults, {})

    def _found(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        if wrong := [tel for tel in order["tels"] if not tel.removeprefix("+").isdecimal()]:
            raise Refused(422, f"{len(wrong)} of the numbers can't be read.")
        seed, day = self._state.options.seed, date.fromisoformat(order["day"])
        return [
            {"tel": tel, "calls": [{"at": call.at, "to": call.to} for call in calls_of(seed, tel, day)]}
            for tel in order["tels"]
            if tel in self._state.known
        ]


async def _order(request: web.Request, *names: str) -> dict[str, Any]:
    try:
        order: dict[str, Any] = await request.json()
        _ = [order[name] for name in names or ("tels", "day")]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, "The body isn't what is asked for here.") from error
    return order
