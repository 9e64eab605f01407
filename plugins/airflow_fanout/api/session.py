"""The `requests.Session` for an endpoint: what an author's function gets, and what the engine itself sends with.

It differs from a session made in a script where a script goes wrong with many requests at once: a pool as large
as the concurrency, no cookies from one parameter to the next, a time limit on every request, a limit on the
answer's size, and credentials only for the connection's own server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.utils import select_proxy

from airflow_fanout.api.access import CredentialSource, FixedCredentials, sent_with
from airflow_fanout.api.address import BadAddress, Origin, check_text, is_http, origin_of
from airflow_fanout.api.auth import HARMLESS, introduction_of, is_authorization, is_own_hook, reintroduce
from airflow_fanout.api.causes import shown
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.permitted import Permits, PermittedAdapter
from airflow_fanout.api.proxied import naming_proxy
from airflow_fanout.api.proxies import check_proxies
from airflow_fanout.api.settled import own_origin, settled
from airflow_fanout.api.signed import SigningAdapter
from airflow_fanout.api.signing import Signing
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.wire.adapter import BoundedAdapter
from airflow_fanout.wire.coding import ACCEPTED

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter
    from urllib3 import HTTPResponse

USER_AGENT = f"airflow-fanout (python-requests/{requests.__version__})"


class FanoutSession(requests.Session):
    """A `requests.Session` at an address: `session.get("/calls/7")` asks the connection's API.

    :param permits: what each request needs a permit of, if any.
    :param access: gives the credentials of each request; those of the endpoint, if not given.
    :param signing: signs each request to the connection's origin, if anything does.
    """

    # requests mounts adapters before anything is set, and replaces them by its own.
    _permits: Permits | None = None
    _signing: Signing | None = None

    def __init__(
        self,
        endpoint: Endpoint,
        settings: FetchSettings,
        permits: Permits | None = None,
        access: CredentialSource | None = None,
        signing: Signing | None = None,
    ) -> None:
        super().__init__()
        self._permits, self._signing = permits, signing
        endpoint = settled(endpoint)
        check_proxies(endpoint.proxies)
        self._endpoint = endpoint
        self._access = access or FixedCredentials(endpoint)
        self._introduced_by = self._own = endpoint
        self._origin = own_origin(endpoint.base_url)
        self._below = f"{endpoint.base_url}/"
        self.max_body_bytes = settings.max_body_bytes
        self._timeout = (settings.timeouts.connect_s, settings.timeouts.read_s)
        self.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": ACCEPTED})
        self.max_redirects = endpoint.max_redirects
        self.cert = endpoint.cert
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._local = threading.local()
        # Else requests reads netrc and the proxy variables for every request (14 % of its time), and REQUESTS_CA_BUNDLE
        # overrules the connection's own `verify`.
        self.trust_env = False
        self.verify = endpoint.verify
        self.proxies = dict(endpoint.proxies)
        self._own_auth = introduction_of(endpoint)
        adapter = BoundedAdapter(settings.concurrency, settings.max_body_bytes, waits=permits is None)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        """Let an adapter send the requests whose addresses begin so; each needs a permit, if permits are needed."""
        super().mount(prefix, self._permitted(adapter))

    def _permitted(self, adapter: BaseAdapter) -> BaseAdapter:
        signing = adapter if self._signing is None else SigningAdapter(adapter, self._signing, self._is_own)
        return signing if self._permits is None else PermittedAdapter(signing, self._permits, self._reintroduce)

    def request(  # type: ignore[override] # requests lists twenty arguments; all of them pass through
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Send a request to a path below the connection's address, or to a whole address.

        The connection's credentials and headers go to the connection's own origin only.
        """
        if self._permits is not None and self._permits.is_foreign:
            return self._permits.fetch_whole(lambda: self.request(method, url, **options))
        if is_http(url) and not url.startswith(self._below):
            self._origin_of(url)
        address = self._endpoint.url(url)
        options.setdefault("timeout", self._timeout)
        # `get` says True by itself, so a connection's False can't be a mere default.
        options["allow_redirects"] = options.get("allow_redirects", True) and self._endpoint.allow_redirects

        def send(endpoint: Endpoint) -> tuple[requests.Response, bool]:
            introduced = {**options}
            had_credentials, whole = self._introduce(endpoint, address, introduced)
            answer = naming_proxy(
                lambda: self._ask(method, whole, introduced),
                lambda: shown(select_proxy(whole, {**self.proxies, **(introduced.get("proxies") or {})}) or ""),
            )
            return answer, had_credentials

        # A file or a generator that was read can't be sent again.
        is_plain = isinstance(options.get("data"), str | bytes | dict | list | tuple | None)
        response = sent_with(self._access, send, is_repeatable=is_plain and not options.get("files"))
        if options.get("stream"):
            self._streams().append(response)
        return response

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a prepared request, unless its address could be read in several ways.

        :raises InvalidURL: for such an address.
        """
        if self._permits is not None and self._permits.is_foreign:
            return self._permits.fetch_whole(lambda: self.send(request, **options))
        self._origin_of(request.url or "")
        return super().send(request, **options)

    def _ask(self, method: str, address: str, options: dict[str, Any]) -> requests.Response:
        """Send a request to a whole address, with all that the connection has to say among its options."""
        return super().request(method, address, **options)

    def follow(self, method: str, url: str, raw: HTTPResponse, **options: Any) -> requests.Response:
        """Follow a redirect that another client got as its answer to this request, as if it had been sent here.

        :param raw: that answer, without its body.
        """
        _, address = self._introduce(self._access.ready().endpoint, self._endpoint.url(url), options)
        prepared = self.prepare_request(requests.Request(method, address, **options))
        answer = self.get_adapter(address).build_response(prepared, raw)  # type: ignore[attr-defined] # all of ours are HTTPAdapters
        chain = self.resolve_redirects(
            answer,
            prepared,
            timeout=self._timeout,
            verify=self.verify,
            cert=self.cert,
            proxies=dict(self.proxies),
        )
        # An address that is empty leads nowhere.
        last: requests.Response = [answer, *chain][-1]
        return last

    def _introduce(self, endpoint: Endpoint, address: str, options: dict[str, Any]) -> tuple[bool, str]:
        """Add the connection's headers and credentials, if the address is at its origin.

        What the call itself says wins, also over credentials. Return whether it has the connection's, and its address.
        """
        if not self._is_own(address):
            return False, address
        if endpoint is not self._introduced_by:
            self._introduced_by, self._own = endpoint, settled(endpoint)
            self._own_auth = introduction_of(self._own)
            if self._signing is not None:
                self._signing.use(self._own, 0)
        own = options.get("headers") or {}
        options["headers"] = {**self._own.headers, **own}
        had_credentials = options.get("auth") is None and not any(is_authorization(name) for name in own)
        if had_credentials:
            options["auth"] = self._own_auth
        return had_credentials, self._own.with_query(address, options.get("params"))

    def _reintroduce(self, request: requests.PreparedRequest) -> None:
        """Give a request that has waited the credentials that are good now."""
        endpoint = self._access.ready().endpoint
        reintroduce(request, self._own if endpoint is self._introduced_by else settled(endpoint))

    def _is_own(self, address: str) -> bool:
        return address.startswith(self._below) or self._origin_of(address) == self._origin

    def _origin_of(self, address: str) -> Origin | None:
        """Return the origin of a whole address; `None` if it isn't one of HTTP, which no adapter sends."""
        try:
            return origin_of(address) if is_http(address) else None
        except BadAddress as error:
            raise requests.exceptions.InvalidURL(str(error)) from None

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads, `None` if it leads nowhere.

        :raises InvalidURL: for an address that could be read in several ways.
        """
        target: str | None = super().get_redirect_target(resp)
        if target is not None:
            try:
                check_text(target)
            except BadAddress as error:
                raise requests.exceptions.InvalidURL(f"the redirect leads nowhere: {error}") from None
        return target

    def resolve_redirects(self, resp: requests.Response, *args: Any, **options: Any) -> Iterator[Any]:
        """Yield what comes of going where an answer leads, once that answer itself is whole."""
        try:
            leads_somewhere = bool(self.get_redirect_target(resp))
        except requests.exceptions.InvalidURL:
            # Nobody reads it, and its place in the pool is needed.
            resp.close()
            raise
        if leads_somewhere:
            try:
                # requests takes no notice of one that is cut off.
                resp.content  # noqa: B018 - reading it is what is wanted
            except requests.exceptions.ContentDecodingError:
                # Nobody reads what stands in a redirect; it has come to its end.
                resp._content, resp._content_consumed = b"", True  # type: ignore[attr-defined] # requests' own fields
        yield from super().resolve_redirects(resp, *args, **options)

    def close_streams(self) -> None:
        """Close what this thread (or greenlet) has streamed.

        A response that is neither read to its end nor closed would keep its place in the pool for ever.
        """
        streams = self._streams()
        while streams:
            streams.pop().close()

    def _streams(self) -> list[requests.Response]:
        streams: list[requests.Response] = self._local.__dict__.setdefault("streams", [])
        return streams

    def rebuild_auth(self, prepared: requests.PreparedRequest, response: requests.Response) -> None:
        """Drop headers and credentials when a redirect leads to another origin.

        requests itself drops `Authorization`; a token in a header of another name would go along. What says nothing
        but what the client is and what it wants may stay.
        """
        super().rebuild_auth(prepared, response)  # type: ignore[no-untyped-call] # requests leaves it without types
        if not self._is_own(prepared.url or ""):
            for name in [name for name in prepared.headers if name.lower() not in HARMLESS]:
                del prepared.headers[name]
            # Digest answers a challenge by hooks, which the redirected request has inherited.
            prepared.hooks = {
                event: [hook for hook in hooks if not is_own_hook(hook)] for event, hooks in prepared.hooks.items()
            }
