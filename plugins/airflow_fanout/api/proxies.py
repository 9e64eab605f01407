"""Whether the proxies of a connection can be used at all: known before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_fanout.errors import FanoutError

# What requests may send our addresses by; the environment may name proxies for others, and hosts that need none.
_FOR = frozenset({"http", "https", "all"})
_KNOWN = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


@dataclass(eq=False)
class BadProxy(FanoutError):
    """A proxy that can't be used: every request would fail."""

    scheme: str
    problem: str

    def __str__(self) -> str:
        return f"The connection's proxy ({self.scheme}://…) can't be used: {self.problem}"


def check_proxies(proxies: Mapping[str, str | None]) -> None:
    """Raise `BadProxy` for a proxy of an unknown kind."""
    for address in (address for used_for, address in proxies.items() if used_for.partition("://")[0] in _FOR):
        before, colon, _ = (address or "").partition("://")
        scheme = before.lower() if colon else "http"
        if scheme not in _KNOWN:
            raise BadProxy(scheme, f"it must begin with one of {', '.join(sorted(_KNOWN))}.")
