"""What is in front of moto: the requests are counted, refused while the server is away, and writes come one by one."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

# Below this path the harness talks to what is in front.
CONTROL = "/harness/"
Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


class Counting:
    """A WSGI application in front of another one.

    moto looks whether an object is there before it puts another one in its place: two threads might both see none.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._refusal: tuple[str, str] | None = None
        self._ignores_conditions = False

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer a request."""
        if environ["PATH_INFO"].startswith(CONTROL):
            return self._control(environ["PATH_INFO"].removeprefix(CONTROL), start)
        with self._lock:
            if self._refusal is not None:
                status, code = self._refusal
                start(status, [("Content-Type", "application/xml")])
                error = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [error.encode()]
            self._requests[_kind(environ)] += 1
            if self._ignores_conditions:
                environ.pop("HTTP_IF_NONE_MATCH", None)
            return list(self._application(environ, start))

    def _control(self, wanted: str, start: Start) -> Iterable[bytes]:
        match wanted:
            case "away":
                self._refusal = "503 Service Unavailable", "ServiceUnavailable"
            case "denied":
                self._refusal = "403 Forbidden", "AccessDenied"
            case "careless":
                # As a server that knows no conditional writes: it does what is asked without the condition.
                self._ignores_conditions = True
            case "back":
                self._refusal, self._ignores_conditions = None, False
            case "forget":
                self._requests.clear()
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(self._requests).encode()]


def _kind(environ: dict[str, Any]) -> str:
    method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if method == "GET" and ("list-type" in query or "prefix" in query or "delimiter" in query):
        return "LIST"
    return "DELETE" if method == "POST" and "delete" in query else str(method)
