"""Failures in words: for the log, the alerts, and whoever is on call. Nothing in them is personal or secret."""

from __future__ import annotations

import msgspec

from airflow_fanout.model.outcome import Cause, Kind, Outcome

# What operating systems and libcurl say of a connection. A whole message may hold an address with its query.
_KNOWN = (
    "Connection refused",
    "Connection reset",
    "Connection aborted",
    "Remote end closed connection",
    "Empty reply",
    "No route to host",
    "Network is unreachable",
    "Cannot assign requested address",
    "Too many open files",
    "Could not resolve",
    "Failed to resolve",
    "Tunnel connection failed",
    "CONNECT tunnel failed",
    "certificate",
)
_FAILURES = {
    Kind.API_ERROR: "answers that say they have failed",
    Kind.TIMEOUT: "timeouts",
    Kind.CONNECTION_ERROR: "connection errors",
    Kind.INVALID: "unreadable answers",
    Kind.ERROR: "errors in the report's own code",
}


def reason_of(outcome: Outcome) -> str:
    """Return why there was no answer, in a few words: "HTTP 503", "connection refused", "read timeout"."""
    if outcome.status is not None and outcome.kind is not Kind.API_ERROR:
        return f"HTTP {outcome.status}"
    if outcome.failure is None:
        return outcome.kind.replace("_", " ")
    known = next((words for words in _KNOWN if words.lower() in outcome.failure.message.lower()), None)
    return known.lower() if known else outcome.failure.type


def failures(kind: Kind, status: int | None) -> str:
    """Return the name of a failure that many parameters share: "HTTP 404", "timeouts"."""
    has_refused = status is not None and kind is not Kind.API_ERROR
    return f"HTTP {status}" if has_refused else _FAILURES.get(kind, kind.value)


def fix_of(kind: Kind, status: int | None, connection: str, *, transient: bool) -> str:
    """Return what to do when most parameters fail like that; `transient` says whether it may pass by itself."""
    if transient:
        return f"Check the state of the API of {connection}"
    if status in (401, 403, 407):
        return f"Correct the credentials of {connection}"
    if kind is Kind.API_ERROR:
        return "Read the answers' own messages in the journal, and fix the request or its `failed_if`"
    if kind is Kind.ERROR:
        return "Fix the report's request or function"
    return "Fix the request's `result`, or the endpoint" if kind is Kind.INVALID else "Fix the endpoint"


class Remedy(msgspec.Struct, frozen=True):
    """What is wrong, and what to do; `{connection}` and `{said}` are filled in."""

    problem: str
    fix: str


REMEDIES = {
    Cause.UNKNOWN_HOST: Remedy(
        "the host of {connection} is unknown ({said})", "Correct the host, or fix name resolution on the workers"
    ),
    Cause.UNKNOWN_PROXY: Remedy(
        "the host of the proxy of {connection} is unknown ({said})",
        "Correct the proxy in the connection's extra (`proxies`) or in the workers' environment (HTTPS_PROXY)",
    ),
    Cause.CERTIFICATE: Remedy(
        "the server's certificate of {connection} isn't trusted ({said})",
        "Correct its host, or set `verify` in its extra to the file of the CA that signed the certificate",
    ),
    Cause.TLS_FILE: Remedy(
        "a certificate or key file of {connection} can't be used ({said})",
        "Correct `verify` or `cert` in its extra; every worker needs the file",
    ),
    Cause.TLS: Remedy(
        "no TLS connection could be established ({said})",
        "Check the address of {connection} (https or http, the port), and whether the server requires a "
        "client certificate (`cert` in its extra)",
    ),
    Cause.CREDENTIALS: Remedy(
        "the API refused the credentials of {connection} ({said})", "Correct its login, password or token"
    ),
    Cause.FORBIDDEN: Remedy(
        "the API refused the first requests ({said})",
        "Check what the credentials of {connection} allow. If some parameters normally get this answer, set "
        "Breaker(startup_attempts=0)",
    ),
    Cause.PROXY_CREDENTIALS: Remedy(
        "the proxy of {connection} refused its credentials ({said})",
        "Correct them in the connection's extra (`proxies`) or in the workers' environment (HTTPS_PROXY)",
    ),
}
