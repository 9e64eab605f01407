"""The service as a child process, and what its owner may ask it."""

from __future__ import annotations

import json
import ssl
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from harness.processes import Kept, StoppedAtTheEnd
from harness.service.options import command_line

if TYPE_CHECKING:
    from typing import Any, Self

    from harness.service.options import Setting

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 30.0
LOOK_AGAIN_S = 0.02
ANSWER_LIMIT_S = 10.0


class ServiceNotStarted(RuntimeError):
    """The service ended, or said nothing, instead of telling its address."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output

    def __str__(self) -> str:
        return f"The service did not start. Its output was: {self.output.strip() or 'nothing'}"


class DemoService(StoppedAtTheEnd):
    """A running service; gone, with its keeper, when its context ends or its owner dies."""

    def __init__(self, url: str, kept: Kept, closing: ExitStack, **settings: Setting) -> None:
        self.url = url
        self._kept = kept
        self._closing = closing
        self._headers = _headers(settings.get("token"))
        self._opener = _opener(settings.get("certfile"))

    @classmethod
    def start(cls, *, log: Path | None = None, **settings: Setting) -> Self:
        """Start a service with settings named as on its command line (``latency_ms=50, fail=[tel]``).

        What it prints is appended to ``log``. Raises UnknownSetting for a wrong name, ServiceNotStarted
        for a value that the service refuses.
        """
        arguments = command_line(settings)
        with ExitStack() as closing:
            output = log or Path(closing.enter_context(tempfile.TemporaryDirectory())) / "service.log"
            command = [sys.executable, "-m", "harness.service", *arguments]
            before = output.stat().st_size if output.exists() else 0
            kept = closing.enter_context(Kept.start(command, cwd=ROOT, log=output))
            return cls(_announced(kept, output, before), kept, closing.pop_all(), **settings)

    def __repr__(self) -> str:
        return f"<DemoService {self.url} {self._kept!r}>"

    @property
    def pid(self) -> int:
        """The service's process id."""
        return self._kept.pid

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """Stop the service; stopping twice does nothing."""
        self._closing.close()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the service's own end and return its exit code; raise StillRunning if it doesn't come."""
        return self._kept.wait(timeout_s)

    def stats(self) -> dict[str, Any]:
        """Return what arrived since the start or the last reset; the seconds of ``by_second`` are text, as in JSON."""
        return self._ask("GET", "/stats")

    def asked(self) -> dict[str, int]:
        """Return how many times each subscriber's calls were asked for."""
        return self._ask("GET", "/stats/asked")

    def reset_stats(self) -> None:
        """Set the counts to zero; chance starts again, too: it depends on how often a number was asked for."""
        self._ask("DELETE", "/stats")

    def faults(self) -> dict[str, Any]:
        """Return the faults in force."""
        return self._ask("GET", "/faults")

    def set_faults(self, **changes: Setting) -> dict[str, Any]:
        """Change the named faults, leave the others as they are, and return them all."""
        plain = {name: _plain(value) for name, value in changes.items()}
        return self._ask("PUT", "/faults", plain)

    def restore_faults(self) -> dict[str, Any]:
        """Go back to the faults that the service started with, and return them."""
        return self._ask("DELETE", "/faults")

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self._headers, method=method)  # noqa: S310
        with self._opener.open(request, timeout=ANSWER_LIMIT_S) as answer:
            return cast("dict[str, Any]", json.load(answer))


def _announced(kept: Kept, output: Path, before: int) -> str:
    """Wait for the service's one line, behind what older services wrote, and return the address in it."""
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        ended = kept.poll() is not None
        text = output.read_bytes()[before:].decode(errors="replace")
        for line in text.splitlines(keepends=True):
            if line.startswith('{"url"') and line.endswith("\n"):
                return cast("str", json.loads(line)["url"])
        if ended or time.monotonic() > deadline:
            raise ServiceNotStarted(text)
        time.sleep(LOOK_AGAIN_S)


def _plain(value: Setting) -> object:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _headers(token: Setting) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _opener(certfile: Setting) -> urllib.request.OpenerDirector:
    # No proxy: the service is on this machine.
    direct = urllib.request.ProxyHandler({})
    if certfile is None:
        return urllib.request.build_opener(direct)
    trust = ssl.create_default_context(cafile=str(certfile))
    return urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=trust))
