"""Exports: jobs that take their time, one for each order, and what they bring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from harness.service.answers import json_answer
from harness.service.asked import Refused
from harness.service.invoices import invoices_of
from harness.service.ledger import ExportLedger

if TYPE_CHECKING:
    from aiohttp import web

    from harness.service.state import State

KEY = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Export:
    """A job: a customer's invoices of a day, which are there from a moment of the service's clock on."""

    id: str
    customer: str
    day: date
    ready: float


class Exports:
    """The handlers of exports. A key that has made one before makes no other."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._exports: dict[str, Export] = {}
        self._by_key: dict[str, Export] = {}

    @property
    def _ledger(self) -> ExportLedger:
        return self._state.counters.exports

    async def create(self, request: web.Request) -> web.Response:
        """Make an export, and answer its id."""
        try:
            order = await request.json()
            customer, day = str(order["customer"]), date.fromisoformat(order["day"])
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(400, "The body needs a customer and a day (YYYY-MM-DD).") from error
        if customer not in self._state.active:
            raise Refused(404, "There is no such customer.")
        key = request.headers.get(KEY)
        export = self._by_key.get(key) if key is not None else None
        if export is None:
            ready = self._state.clock() + self._state.options.export_s
            export = Export(f"exp_{len(self._exports) + 1:06}", customer, day, ready)
            self._exports[export.id] = export
            self._ledger.created(customer)
            if key is not None:
                self._by_key[key] = export
        return json_answer({"id": export.id, "status": "queued"}, status=202)

    async def status(self, request: web.Request) -> web.Response:
        """Answer how an export is."""
        export = self._export(request)
        self._ledger.asked += 1
        if self._state.clock() < export.ready:
            return json_answer({"id": export.id, "status": "running"})
        return json_answer({"id": export.id, "status": "done", "file": f"/exports/{export.id}/file"})

    async def file(self, request: web.Request) -> web.Response:
        """Answer what an export has brought, once it is ready."""
        export = self._export(request)
        if self._state.clock() < export.ready:
            raise Refused(409, "The export isn't ready.")
        self._ledger.fetched += 1
        invoices = invoices_of(self._state.options.seed, export.customer, export.day)
        return json_answer({"rows": [invoice.id for invoice in invoices]})

    def _export(self, request: web.Request) -> Export:
        if (export := self._exports.get(request.match_info["export"])) is None:
            raise Refused(404, "There is no such export.")
        return export
