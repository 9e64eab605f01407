"""Addresses that can be read in one way only.

Whose credentials go where is decided by an address's origin, and the connection is made by another program's reading of
the same text. So what two readers of URLs are known to read differently is refused: backslashes, credentials before
the host, control characters, hosts with anything but letters, digits, dots and hyphens, ports that are none.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HTTP = re.compile(r"https?:", re.IGNORECASE)
_WHOLE = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?:[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
# C0, DEL and C1; some readers leave tabs and line breaks out, some end the address there.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PORTS = {"http": 80, "https": 443}
_AUTHORITY_END = re.compile(r"[/?#]")


class BadAddress(ValueError):
    """An address that can't be read, or could be read in several ways; the message says why, and shows no secret."""


class Origin(NamedTuple):
    """Where an address leads to: who may see the credentials for it."""

    scheme: str
    host: str
    port: int


def is_http(address: str) -> bool:
    """Return whether an address is one of HTTP at all."""
    return _HTTP.match(address) is not None


def origin_of(address: str) -> Origin:
    """Return the origin of a whole address.

    :raises BadAddress: when it isn't one of HTTP, or could be read in several ways.
    """
    check_text(address)
    match = _WHOLE.fullmatch(address)
    if match is None:
        raise BadAddress(_problem(address))
    scheme, host, port = match["scheme"].lower(), match["host"].lower(), match["port"]
    if port is not None and int(port) > 65_535:
        raise BadAddress(f"the address has the port {port}, and ports end at 65535")
    return Origin(scheme, host, int(port or _PORTS[scheme]))


def check_text(reference: str) -> None:
    """Raise `BadAddress` for an address, whole or relative, with a character that readers treat differently."""
    if _CONTROL.search(reference):
        raise BadAddress("the address has a control character in it, such as a tab or a line break")
    before_query = re.split(r"[?#]", reference, maxsplit=1)[0]
    if "\\" in before_query:
        raise BadAddress("the address has a backslash in it, which some take for a slash; write %5C for a backslash")


def _problem(address: str) -> str:
    scheme, _, rest = address.partition("://")
    if scheme.lower() not in _PORTS:
        return "the address isn't one of http or https"
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    if "@" in authority:
        return "the address has credentials before its host; give them to the connection, or as auth=(login, password)"
    if not authority:
        return "the address has no host"
    if "%" in authority:
        return "the host of the address has a percent sign in it, which stands for a character or for a zone of IPv6"
    if not authority.isascii():
        return "the host of the address has a letter beyond ASCII; write it as its own ASCII form (xn--…)"
    return "the host or the port of the address can't be read in one way only"
