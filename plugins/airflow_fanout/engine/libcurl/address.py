"""Addresses as libcurl takes them."""

from __future__ import annotations

import re

from requests import PreparedRequest, RequestException
from requests.utils import requote_uri

# RFC 3986, 2: what a URL may be made of.
URL = re.compile(r"[\w!#$&'()*+,/:;=?@\[\]~.-]*(?:%[0-9A-Fa-f]{2}[\w!#$&'()*+,/:;=?@\[\]~.-]*)*", re.ASCII)


def in_ascii(base_url: str) -> str:
    """Return the base address in ASCII: the wheel's libcurl knows no international names."""
    prepared = PreparedRequest()
    try:
        prepared.prepare_url(base_url, None)
    except RequestException:
        # libcurl will say of each parameter's request that it is none.
        return requote_uri(base_url)
    return (prepared.url or "").rstrip("/") if not base_url.isascii() else base_url
