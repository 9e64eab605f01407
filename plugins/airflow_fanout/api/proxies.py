"""Whether the proxies of a connection can be used at all: known before the first request."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_fanout.api.errors import BadProxy

# What requests may send our addresses by; the environment may name proxies for others, and hosts that need none.
_FOR = frozenset({"http", "https", "all"})
_KNOWN = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


def check_proxies(proxies: Mapping[str, str | None]) -> None:
    """Raise `BadProxy` for a proxy of an unknown kind."""
    for address in (address for used_for, address in proxies.items() if used_for.partition("://")[0] in _FOR):
        before, colon, _ = (address or "").partition("://")
        scheme = before.lower() if colon else "http"
        if scheme not in _KNOWN:
            raise BadProxy(scheme, f"it must begin with one of {', '.join(sorted(_KNOWN))}.")
