"""The session that an author's function gets where libcurl is installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from requests.cookies import extract_cookies_to_jar

from airflow_fanout.api.access import CredentialSource
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.permitted import Permits
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.api.settled import settled
from airflow_fanout.api.signing import Signing
from airflow_fanout.engine.function_session.adapter import CurlAdapter
from airflow_fanout.engine.function_session.preparation import Preparation
from airflow_fanout.model.settings import FetchSettings

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from requests.adapters import BaseAdapter


class CurlSession(FanoutSession):
    """A session whose usual requests go over libcurl, and whose plain calls are prepared without detours.

    A plain call goes to the connection's address and has params, data, json and headers without surprises. All others,
    and all while the session has settings of its own (`auth`, `params`, cookies, hooks, `stream`), requests prepares.

    :param note: takes a word about what is sent by requests, once.
    :param permits: what each request needs a permit of, if any.
    :param access: gives the credentials of each request; those of the endpoint, if not given.
    :param signing: signs each request to the connection's origin, if anything does.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: FetchSettings,
        note: Callable[[str], None] = lambda _text: None,
        permits: Permits | None = None,
        access: CredentialSource | None = None,
        signing: Signing | None = None,
    ) -> None:
        endpoint = settled(endpoint)
        super().__init__(endpoint, settings, permits, access, signing)
        self._curl = CurlAdapter(endpoint, settings, note, waits=permits is None)
        self._adapter: BaseAdapter = self._permitted(self._curl)
        self.adapters.update({"https://": self._adapter, "http://": self._adapter})
        self._preparation = Preparation(endpoint.base_url)
        # Digest answers a challenge by hooks.
        self._own_auth_is_plain = endpoint.auth != "digest"

    def _ask(self, method: str, address: str, options: dict[str, Any]) -> Response:
        has_settings = self.auth or self.params or self.stream or self.trust_env or any(self.hooks.values())
        has_own_settings = has_settings or next(iter(self.cookies), None) is not None
        auth = options.get("auth")
        has_own_auth = auth is not None and not (auth is self._own_auth and self._own_auth_is_plain)
        request = None
        if not has_own_settings and not has_own_auth:
            request = self._preparation.prepare(method, address, options, self.headers)
        is_ours = self.get_adapter(address) is self._adapter
        if not is_ours:
            self._curl.say_who_sends()
        if request is None or not is_ours:
            return super()._ask(method, address, options)
        return self._sent(request, timeout=options["timeout"], follow=options["allow_redirects"])

    def _sent(self, request: PreparedRequest, *, timeout: Any, follow: bool) -> Response:
        """Do with a plain request what `Session.send` does."""
        begun_s = time.perf_counter()
        how = {"timeout": timeout, "verify": self.verify, "cert": self.cert, "proxies": self.proxies}
        response = self._adapter.send(request, **how)
        response.elapsed = timedelta(seconds=time.perf_counter() - begun_s)
        if "set-cookie" in response.headers:
            extract_cookies_to_jar(self.cookies, request, response.raw)  # type: ignore[no-untyped-call] # it has no types
        if response.is_redirect:
            response = self._redirected(response, request, follow=follow, **how)
        # What requests itself has received isn't read yet.
        response.content  # noqa: B018
        return response

    def _redirected(self, response: Response, request: PreparedRequest, *, follow: bool, **how: Any) -> Response:
        """Go where an answer leads, or note where that would be."""
        chain = self.resolve_redirects(response, request, yield_requests=not follow, **how)
        if not follow:
            response._next = next(chain, None)  # type: ignore[attr-defined] # behind `Response.next`
            return response
        history: list[Response] = [response, *chain]
        last = history.pop()
        last.history = history
        return last
