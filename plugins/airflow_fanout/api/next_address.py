"""The address of the next page, as a page gives it."""

from __future__ import annotations

import re
from urllib.parse import urldefrag, urljoin

from airflow_fanout.api.address import BadAddress, check_text, origin_of
from airflow_fanout.api.page import NotPaged, Page
from airflow_fanout.codec import Json

# An address with a scheme or a host of its own (RFC 3986, 4.2).
_OWN_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


def next_address(page: Page, link: Json) -> str:
    """Return the whole address that a page gives for the next one.

    :raises NotPaged: when it is none, or could be read in several ways.
    """
    if not isinstance(link, str):
        raise NotPaged(
            f"its next page is of type {type(link).__name__}, not an address; if that value ends the list, name it in "
            "NextLink(end=…)"
        )
    link = link.strip()
    try:
        check_text(link)
        if _OWN_HOST.match(link):
            # Before it is joined: "http:///2" is a path to one reader, and a host to another.
            origin_of(f"http:{link}" if link.startswith("//") else link)
        # RFC 3986, 5.2: a link is relative to the address of what it stands in. A fragment is never sent.
        return str(urldefrag(urljoin(page.address, link)).url)
    except BadAddress as error:
        raise NotPaged(f"its next page can't be asked for: {error}") from None
