"""The `requests.Session` for an endpoint: what an author's function gets, and what the engine itself sends with.

It differs from a session made in a script where a script goes wrong with many requests at once: a pool as large
as the concurrency, no cookies from one parameter to the next, a time limit on every request, a limit on the
answer's size, and credentials only for the connection's own server.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from queue import LifoQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from requests.utils import get_environ_proxies, get_netrc_auth, select_proxy

from airflow_fanout.causes import shown
from airflow_fanout.endpoint import Endpoint
from airflow_fanout.settings import FetchSettings

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

USER_AGENT = f"airflow-fanout (python-requests/{requests.__version__})"


HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
)


class BodyTooLarge(requests.RequestException):
    """An answer that is larger than the report allows, after decompression."""


class BearerAuth(AuthBase):
    """Sends a token as RFC 6750 has it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into the request's headers."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class FanoutSession(requests.Session):
    """A `requests.Session` at an address: `session.get("/calls/7")` asks the connection's API."""

    def __init__(self, endpoint: Endpoint, settings: FetchSettings) -> None:
        super().__init__()
        endpoint = settled(endpoint)
        self._endpoint = endpoint
        self._origin = _origin(endpoint.base_url)
        self._timeout = (settings.timeouts.connect_s, settings.timeouts.read_s)
        self.headers["User-Agent"] = USER_AGENT
        self.max_redirects = endpoint.max_redirects
        self.cert = endpoint.cert
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._local = threading.local()
        # With trust_env, requests reads netrc and the proxy variables again for every request (14 % of its time), and
        # REQUESTS_CA_BUNDLE overrules the connection's own `verify`.
        self.trust_env = False
        self.verify = endpoint.verify
        self.proxies = dict(endpoint.proxies)
        self._own_auth = _auth(endpoint)
        adapter = BoundedAdapter(settings.concurrency, settings.max_body_bytes)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(  # type: ignore[override] # requests lists twenty arguments; all of them pass through
        self, method: str, url: str, **options: Any
    ) -> requests.Response:
        """Send a request to a path below the connection's address, or to a whole address.

        The connection's credentials and headers go to the connection's own origin only.
        """
        address = self._endpoint.url(url)
        options.setdefault("timeout", self._timeout)
        # `get` says True by itself, so a connection's False can't be a mere default.
        options["allow_redirects"] = options.get("allow_redirects", True) and self._endpoint.allow_redirects
        self._introduce(address, options)
        response = self._through_proxy(method, address, options)
        if options.get("stream"):
            self._streams().append(response)
        return response

    def _through_proxy(self, method: str, address: str, options: dict[str, Any]) -> requests.Response:
        """Send a request; a proxy that is in the way is named, and says the same for http as for https."""
        try:
            response = self._ask(method, address, options)
        except requests.exceptions.ProxyError as error:
            error.proxy = self._proxy_of(address, options)  # type: ignore[attr-defined] # for who says what happened
            raise
        proxy = self._proxy_of(address, options) if response.status_code == requests.codes.proxy_authentication else ""
        if not proxy:
            return response
        refused = requests.exceptions.ProxyError(f"HTTP 407 {response.reason}", request=response.request)
        refused.proxy = proxy  # type: ignore[attr-defined] # as above
        raise refused

    def _proxy_of(self, address: str, options: dict[str, Any]) -> str:
        return shown(select_proxy(address, {**self.proxies, **(options.get("proxies") or {})}) or "")

    def _ask(self, method: str, address: str, options: dict[str, Any]) -> requests.Response:
        """Send a request to a whole address, with all that the connection has to say among its options."""
        return super().request(method, address, **options)

    def follow(self, method: str, url: str, raw: HTTPResponse, **options: Any) -> requests.Response:
        """Follow a redirect that another client got as its answer to this request, as if it had been sent here.

        :param raw: that answer, without its body.
        """
        address = self._endpoint.url(url)
        self._introduce(address, options)
        prepared = self.prepare_request(requests.Request(method, address, **options))
        answer = self.get_adapter(address).build_response(prepared, raw)  # type: ignore[attr-defined] # all of ours are HTTPAdapters
        chain = self.resolve_redirects(
            answer,
            prepared,
            timeout=self._timeout,
            verify=self.verify,  # type: ignore[arg-type] # a CA's file is as good, as everywhere in requests
            cert=self.cert,
            proxies=dict(self.proxies),
        )
        last: requests.Response = list(chain)[-1]
        return last

    def _introduce(self, address: str, options: dict[str, Any]) -> None:
        """Add the connection's headers and credentials, if the address is at its origin."""
        if _origin(address) == self._origin:
            options["headers"] = {**self._endpoint.headers, **(options.get("headers") or {})}
            if options.get("auth") is None:
                options["auth"] = self._own_auth

    def close_streams(self) -> None:
        """Close what this thread (or greenlet) has streamed.

        A response that is neither read to its end nor closed would keep its place in the pool for ever.
        """
        streams = self._streams()
        while streams:
            streams.pop().close()

    def _streams(self) -> list[requests.Response]:
        found: list[requests.Response] = self._local.__dict__.setdefault("streams", [])
        return found

    def rebuild_auth(self, prepared: requests.PreparedRequest, response: requests.Response) -> None:
        """Drop headers and credentials when a redirect leads to another origin.

        requests itself drops `Authorization`; a token in a header of another name would go along. What says nothing
        but what the client is and what it wants may stay.
        """
        super().rebuild_auth(prepared, response)  # type: ignore[no-untyped-call] # requests leaves it without types
        if _origin(prepared.url or "") != self._origin:
            for name in [name for name in prepared.headers if name.lower() not in HARMLESS]:
                del prepared.headers[name]
            # Digest answers a challenge by hooks, which the redirected request has inherited.
            prepared.hooks = {
                event: [hook for hook in hooks if getattr(hook, "__self__", prepared) is not self._own_auth]
                for event, hooks in prepared.hooks.items()
            }


class _OpenFirst(LifoQueue[Any]):
    """A pool's places, those with an open connection first.

    A place whose connection has failed would otherwise be the next to be taken: an API that allows no more connections
    than there are open ones would refuse each new one, while all of those stand idle.
    """

    def _put(self, item: Any) -> None:
        self.queue.insert(0 if item is None else len(self.queue), item)


# Their names stand in the messages of exceptions, which are to be those of urllib3.
class HTTPConnectionPool(urllib3.HTTPConnectionPool):
    """A pool of plain connections that takes open ones first."""

    QueueCls = _OpenFirst


class HTTPSConnectionPool(urllib3.HTTPSConnectionPool):
    """A pool of TLS connections that takes open ones first."""

    QueueCls = _OpenFirst


_POOLS = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class BoundedAdapter(HTTPAdapter):
    """A connection pool for so many requests at once, whose answers have a limit on their size."""

    def __init__(self, concurrency: int, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        # Without pool_block a full pool opens connections and throws them away: the way to "Too many open files".
        super().__init__(pool_connections=8, pool_maxsize=concurrency, pool_block=True, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools for all addresses."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Return what makes the pools for a proxy."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the response with a count on what is read of it."""
        response = super().build_response(req, resp)
        # requests has no other seam for the class of its responses.
        response.__class__ = BoundedResponse
        response.max_body_bytes = self._max_body_bytes  # type: ignore[attr-defined] # by now it has this field
        return response


class BoundedResponse(requests.Response):
    """A response with a limit on what is read of its body."""

    max_body_bytes: int

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002 - requests' own signature
        """Yield the body in pieces, up to the limit; all ways to the body lead through here.

        :raises BodyTooLarge: when there is more.
        """
        left = self.max_body_bytes
        for chunk in super().iter_content(chunk_size, decode_unicode):
            left -= len(chunk)
            if left < 0:
                self.close()
                raise BodyTooLarge(f"the answer is larger than {self.max_body_bytes:,} bytes (max_body_bytes)")
            yield chunk


def settled(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with what the environment says of it: proxies, CA bundle and netrc, looked up once.

    What the connection says itself wins; the endpoint returned trusts the environment no further.
    """
    if not endpoint.trust_env:
        return endpoint
    verify = endpoint.verify
    if verify is True:
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    proxies = {**get_environ_proxies(endpoint.base_url), **endpoint.proxies}
    return replace(_with_netrc(endpoint), verify=verify, proxies=proxies, trust_env=False)


def _with_netrc(endpoint: Endpoint) -> Endpoint:
    if endpoint.login is not None or endpoint.auth == "bearer":
        return endpoint
    found = get_netrc_auth(endpoint.base_url)
    return replace(endpoint, login=found[0], password=found[1], auth="basic") if found else endpoint


def _auth(endpoint: Endpoint) -> AuthBase | None:
    if endpoint.auth == "bearer":
        return BearerAuth(endpoint.password or "")
    if endpoint.login is None:
        return None
    build = HTTPDigestAuth if endpoint.auth == "digest" else HTTPBasicAuth
    return build(endpoint.login, endpoint.password or "")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
