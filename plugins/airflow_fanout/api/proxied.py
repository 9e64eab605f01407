"""A request that goes through a proxy: what the proxy says is said by its name."""

from __future__ import annotations

from collections.abc import Callable

import requests


def naming_proxy(send: Callable[[], requests.Response], proxy: Callable[[], str]) -> requests.Response:
    """Send a request; a proxy that is in the way is named, and says the same for http as for https.

    :param send: sends the request.
    :param proxy: returns the proxy's address, nothing if there is none.
    :raises ProxyError: with the address as its `proxy`.
    """
    try:
        response = send()
    except requests.exceptions.ProxyError as error:
        error.proxy = proxy()  # type: ignore[attr-defined] # for who says what happened
        raise
    named = proxy() if response.status_code == requests.codes.proxy_authentication else ""
    if not named:
        return response
    refused = requests.exceptions.ProxyError(f"HTTP 407 {response.reason}", request=response.request)
    refused.proxy = named  # type: ignore[attr-defined] # as above
    raise refused
