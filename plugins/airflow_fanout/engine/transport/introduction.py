"""What the connection adds to each declarative request over libcurl, until its credentials are renewed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import pycurl
from requests.utils import requote_uri

from airflow_fanout.api.access import REFUSED
from airflow_fanout.api.auth import is_authorization
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.codec import Json
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.libcurl.address import URL, in_ascii
from airflow_fanout.engine.libcurl.transfer import Transfer
from airflow_fanout.engine.transport.options import Headers, auth_options, without_credentials

# Returns the target, headers and body of a parameter's message.
Parts = Callable[[Json], tuple[str, Mapping[str, str], bytes | None]]


class Introduction:
    """Tells handles the connection's headers, its credentials, and its part of the query.

    :param endpoint: the connection.
    :param request: the request; what it says itself wins.
    :param parts: makes the parts of a message, as the request has them.
    :param access: gives the credentials of each renewal, and signs with them; `None` if there is none of both.

    `parts` makes them with the connection's part of the query.
    """

    def __init__(self, endpoint: Endpoint, request: Request, parts: Parts, access: EngineAccess | None) -> None:
        self._signing = access.signing if access is not None else None
        self._base = f"{in_ascii(endpoint.base_url)}/"
        self._request = request
        self._plain_parts = parts
        self._access = access
        self._transfers: list[Transfer] = []
        has_own = any(is_authorization(name) for name in request.headers) or REFUSED in request.null_statuses
        self._can_be_outdated = access is not None and not has_own
        self.use(endpoint, 0)
        if access is not None:
            access.serve(self.use)

    def use(self, endpoint: Endpoint, renewal: int) -> None:
        """Introduce with the credentials of another renewal from now on; requests under way keep theirs."""
        sender = without_credentials(endpoint, self._request)
        has_body, is_alone = self._request.has_body, self._request.own_connection
        self.endpoint = endpoint
        self._headers = Headers(sender, has_body=has_body, closes_its_connection=is_alone)
        self._login = auth_options(sender)
        # The lines of the headers that were written last, which are mostly the same object for all parameters.
        self._lines: list[bytes] = []
        self._written: Mapping[str, str] | None = None
        self._renewal = renewal
        self.parts = self._with_signature(self._with_query(endpoint))
        for transfer in self._transfers:
            transfer.told = None

    def know(self, transfer: Transfer) -> None:
        """Keep a handle, which newer credentials have to reach."""
        self._transfers.append(transfer)

    def introduce(self, transfer: Transfer, headers: Mapping[str, str]) -> None:
        """Tell a handle the header lines of a request with these headers of its own, and a newer login."""
        if headers is not self._written:
            self._lines, self._written = self._headers.lines(headers), headers
        transfer.easy.setopt(pycurl.HTTPHEADER, self._lines)
        transfer.told = headers
        if transfer.renewal != self._renewal:
            for option, value in self._login.items():
                transfer.easy.setopt(option, value)
            transfer.renewal = self._renewal

    def is_outdated(self, transfer: Transfer) -> bool:
        """Return whether a request that was refused is worth repeating with newer credentials."""
        return self._can_be_outdated and self._access is not None and self._access.is_outdated(transfer.renewal)

    def signed(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
        """Return a request's own headers with its signature, if there is one; `url` is as it is sent."""
        if self._signing is None:
            return headers
        whole = {**self.endpoint.headers, **headers}
        return {**headers, **self._signing.headers(method, url, whole, body)}

    def _with_signature(self, parts: Parts) -> Parts:
        if self._signing is None:
            return parts

        def whole(parameter: Json) -> tuple[str, Mapping[str, str], bytes | None]:
            target, headers, body = parts(parameter)
            url = self._base + target.removeprefix("/")
            sent = url if URL.fullmatch(url) else requote_uri(url)
            return target, self.signed(self._request.method, sent, headers, body), body

        return whole

    def _with_query(self, endpoint: Endpoint) -> Parts:
        parts = self._plain_parts
        added = urlencode({name: text for name, text in endpoint.query.items() if name not in self._request.query})
        if not added:
            return parts

        def whole(parameter: Json) -> tuple[str, Mapping[str, str], bytes | None]:
            target, headers, body = parts(parameter)
            return f"{target}{'&' if '?' in target else '?'}{added}", headers, body

        return whole
