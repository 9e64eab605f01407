"""What the service's owner asks for: is it there, what has arrived, which faults are in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.service.answers import json_answer
from harness.service.asked import Refused
from harness.service.faults import FaultsRefused

if TYPE_CHECKING:
    from aiohttp import web

    from harness.service.state import State


class Observers:
    """The handlers of the paths that a client of the company doesn't know; no fault is about these."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def health(self, _request: web.Request) -> web.Response:
        """Answer that the service is there."""
        return json_answer({"status": "ok"})

    async def stats(self, _request: web.Request) -> web.Response:
        """Answer the counts."""
        return json_answer(self._state.counters.as_json(self._state.clock()))

    async def asked(self, _request: web.Request) -> web.Response:
        """Answer how many times each subscriber's calls were asked for."""
        return json_answer(dict(self._state.counters.asked))

    async def reset_stats(self, _request: web.Request) -> web.Response:
        """Set the counts to zero, and answer them."""
        now = self._state.clock()
        self._state.counters.reset(now)
        return json_answer(self._state.counters.as_json(now))

    async def show_faults(self, _request: web.Request) -> web.Response:
        """Answer the faults in force."""
        return json_answer(self._state.faults.as_json())

    async def change_faults(self, request: web.Request) -> web.Response:
        """Change the faults that the body names, leave the others, and answer them all."""
        try:
            changes = await request.json()
            if not isinstance(changes, dict):
                raise FaultsRefused("faults", "are changed by a JSON object of settings")
            self._state.take(self._state.faults.changed(changes))
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return json_answer(self._state.faults.as_json())

    async def restore_faults(self, _request: web.Request) -> web.Response:
        """Go back to the faults that the service started with."""
        self._state.take(self._state.options.faults)
        return json_answer(self._state.faults.as_json())
