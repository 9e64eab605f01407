"""Which path leads to which handler, and what each request meets on its way there: counts, the quota, the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from harness.service.answers import abort, hang, json_answer, throttled
from harness.service.asked import Refused
from harness.service.auth import allows
from harness.service.billing import Billing
from harness.service.company import Company
from harness.service.counters import CALLS, INVOICES, PACED
from harness.service.exports import Exports
from harness.service.observers import Observers
from harness.service.quota import RESET_S
from harness.service.searches import Searches
from harness.service.state import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from harness.service.options import Options

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    # Takes the Authorization header, and raises Refused.
    Guard = Callable[[str | None], None]

# The call log and the observers' paths stay up.
FALLING = frozenset({*PACED, "/subscribers", "/subscribers.json", "/customers"})
TOKENS = "/oauth/token"
CHALLENGE = {"WWW-Authenticate": "Bearer"}
# RFC 6750, 3.1.
EXPIRED = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Service:
    """The running service: its state, and the way to its handlers."""

    def __init__(self, options: Options) -> None:
        self.state = State(options)

    def application(self) -> web.Application:
        """Return the web application with all routes."""
        company, billing, observers = Company(self.state), Billing(self.state), Observers(self.state)
        exports, searches = Exports(self.state), Searches(self.state)
        app = web.Application()
        app.add_routes(
            [
                web.get("/subscribers", self._counted("/subscribers", company.subscribers)),
                web.get("/subscribers.json", self._counted("/subscribers.json", company.all_subscribers)),
                web.get("/calls/{tel}", self._counted(CALLS, company.calls)),
                web.post("/calls", self._counted(CALLS, searches.calls)),
                web.post("/graphql", self._counted(CALLS, searches.graphql)),
                web.get("/call-log", self._counted("/call-log", company.call_log)),
                web.post("/oauth/token", self._counted(TOKENS, billing.token)),
                web.get("/customers", self._counted("/customers", billing.customers)),
                web.get("/customers/{id}/invoices", self._counted(INVOICES, billing.invoices)),
                web.post("/exports", self._counted("/exports", exports.create)),
                web.get("/exports/{export}", self._counted("/exports", exports.status)),
                web.get("/exports/{export}/file", self._counted("/exports", exports.file)),
                web.get("/healthz", self._observed(observers.health, needs_token=False)),
                web.get("/stats", self._observed(observers.stats)),
                web.delete("/stats", self._observed(observers.reset_stats)),
                web.get("/stats/asked", self._observed(observers.asked)),
                web.get("/faults", self._observed(observers.show_faults)),
                web.put("/faults", self._observed(observers.change_faults)),
                web.delete("/faults", self._observed(observers.restore_faults)),
                web.route("*", "/{path:.*}", self._counted("elsewhere", company.nowhere)),
            ]
        )
        return app

    def _counted(self, path: str, handler: Handler) -> Handler:
        state, counters = self.state, self.state.counters
        falls, has_quota = path in FALLING, path in PACED
        guard = _let_pass if path == TOKENS else self._check_customer

        async def answer(request: web.Request) -> web.StreamResponse:
            # Read once, so that the counts and the quota agree on the second.
            now = state.clock()
            counters.request_arrived(path, request.transport, now)
            if falls and state.faults.down:
                counters.request_refused()
                abort(request.transport)
                await hang()
            status = None
            try:
                if has_quota and state.faults.limit_per_s:
                    response = await self._limited(handler, request, now, guard)
                else:
                    response = await self._guarded(handler, request, guard)
                status = response.status
                return response
            finally:
                counters.request_ended(status, now)

        return answer

    async def _limited(self, handler: Handler, request: web.Request, now: float, guard: Guard) -> web.StreamResponse:
        faults = self.state.faults
        standing = self.state.quota.ask(now, faults.limit_per_s)
        headers = standing.headers() if faults.quota_headers else {}
        response = await self._guarded(handler, request, guard) if standing.within else throttled(RESET_S, faults)
        response.headers.update(headers)
        return response

    def _observed(self, handler: Handler, *, needs_token: bool = True) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.state.counters.observed(request.transport)
            if needs_token:
                return await self._guarded(handler, request, self._check_observer)
            return await handler(request)

        return answer

    async def _guarded(self, handler: Handler, request: web.Request, guard: Guard) -> web.StreamResponse:
        try:
            guard(request.headers.get("Authorization"))
            return await handler(request)
        except Refused as refused:
            return json_answer({"error": refused.sentence}, status=refused.status, headers=refused.headers)

    def _check_observer(self, authorization: str | None) -> None:
        if not allows(self.state.options.token, authorization):
            raise Refused(401, "The service wants its token: as bearer, or as basic's password.", CHALLENGE)

    def _check_customer(self, authorization: str | None) -> None:
        if not self.state.issuer.is_on:
            self._check_observer(authorization)
        elif not self.state.issuer.is_good(authorization, self.state.clock()):
            raise Refused(401, f"The service wants a token of {TOKENS} that hasn't ended.", EXPIRED)


def _let_pass(_authorization: str | None) -> None:
    """Let everybody pass."""
