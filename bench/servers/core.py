"""A server that has a core to itself, and is there when the caller goes on."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from harness.processes import Kept

PATIENCE_S = 10.0
LOOK_AGAIN_S = 0.02


class ServerNotStarted(RuntimeError):
    """A server ended, or didn't listen, instead of serving; ``log`` is what it wrote."""

    def __init__(self, program: str, log: str) -> None:
        super().__init__(program, log)
        self.program = program
        self.log = log

    def __str__(self) -> str:
        return f"{self.program} doesn't serve. Its log: {self.log or 'empty'}"


@contextmanager
def kept_on(core: int, command: Sequence[str], port: int, *, log: Path) -> Iterator[None]:
    """Keep a server and all its processes on one core until the context ends; raise ServerNotStarted if it fails."""
    with Kept.start(command, log=log) as kept:
        deadline = time.monotonic() + PATIENCE_S
        while not listens(port):
            if kept.poll() is not None or time.monotonic() > deadline:
                raise ServerNotStarted(command[0], log.read_text(errors="replace"))
            time.sleep(LOOK_AGAIN_S)
        server = psutil.Process(kept.pid)
        for process in (server, *server.children(recursive=True)):
            os.sched_setaffinity(process.pid, {core})
        yield


def listens(port: int) -> bool:
    """Return whether somebody listens at a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
