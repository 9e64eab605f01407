"""An adapter of requests' that signs each request at the moment of sending it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from requests.adapters import BaseAdapter

from airflow_fanout.api.signing import Signing

if TYPE_CHECKING:
    import requests


class SigningAdapter(BaseAdapter):
    """Sends by another adapter. In all else it is that adapter.

    :param is_own: returns whether an address is at the connection's origin; others get no signature.
    """

    def __init__(self, adapter: BaseAdapter, signing: Signing, is_own: Callable[[str], bool]) -> None:
        super().__init__()
        self.adapter = adapter
        self._signing = signing
        self._is_own = is_own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.adapter, name)

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        """Sign a request, send it, and return its answer."""
        url = request.url or ""
        if self._is_own(url):
            body = request.body.encode() if isinstance(request.body, str) else request.body
            headers = self._signing.headers(request.method or "", url, request.headers, body)
            request.headers.update(headers)
        return self.adapter.send(request, *args, **how)

    def close(self) -> None:
        """Close the other adapter."""
        self.adapter.close()
