"""One ``mongod`` on a directory of its own: started, asked whether it is ready, stopped."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from harness.mongod.binary import find_mongod
from harness.mongod.direct import direct_client, form_replica_set, is_primary
from harness.processes import Kept, StoppedAtTheEnd, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any, Self

    from pymongo import MongoClient

    from harness.mongod.direct import Login

LOG_NAME = "mongod.log"
LOG_TAIL_LINES = 12
# The severities E (error) and F (fatal) of its JSON lines.
ERROR_LINE = re.compile(r'"s":"[EF]"')
START_LIMIT_S = 60.0
# A predecessor that was killed may still be writing its last checkpoint.
BUSY_LIMIT_S = 15.0
STOP_GRACE_S = 10.0
LOOK_AGAIN_S = 0.05

# mongod's own exit codes.
EXIT_PORT_TAKEN = 48
EXIT_DIRECTORY_BUSY = 100


class MongodNotStarted(RuntimeError):
    """A ``mongod`` ended, or didn't answer, instead of serving; ``log`` is what it wrote about that."""

    def __init__(self, code: int | None, directory: Path, log: str) -> None:
        super().__init__(code, directory, log)
        self.code = code
        self.directory = directory
        self.log = log

    def __str__(self) -> str:
        what = "did not answer in time" if self.code is None else f"ended with code {self.code}"
        return f"mongod on {self.directory} {what}. From its {LOG_NAME}:\n{self.log}"


class Mongod(StoppedAtTheEnd):
    """A running ``mongod`` on 127.0.0.1; gone, with its keeper, when its context ends or its owner dies."""

    def __init__(
        self,
        kept: Kept,
        data_dir: Path,
        port: int,
        replica_set: str | None,
        log_start: int,
        *,
        alone: bool,
        login: Login | None,
    ) -> None:
        self._kept = kept
        self.data_dir = data_dir
        self.port = port
        self.replica_set = replica_set
        self._log_start = log_start
        self._alone = alone
        self._login = login

    @classmethod
    def start(
        cls,
        data_dir: Path,
        port: int | None = None,
        replica_set: str | None = None,
        *,
        alone: bool = True,
        login: Login | None = None,
        busy_limit_s: float = BUSY_LIMIT_S,
    ) -> Self:
        """Start a server on a directory, new or used before; return once it answers.

        With the ``login`` of an administrator that the directory knows, it demands that everybody logs in.

        A replica set of one can be written to by then; one that isn't ``alone`` in its set is left to find the
        others. What a killed predecessor left is recovered; one that is still ending is waited for. Raises
        MongodNotFound or MongodNotStarted.
        """
        data_dir.mkdir(parents=True, exist_ok=True)
        binary = find_mongod()
        deadline = time.monotonic() + busy_limit_s
        while True:
            mongod = cls._launch(binary, data_dir, port or free_port(), replica_set, alone=alone, login=login)
            try:
                mongod._await_ready()
            except MongodNotStarted as failure:
                mongod.stop()
                if not _may_pass(failure, port) or time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_AGAIN_S)
            except BaseException:
                mongod.stop()
                raise
            else:
                return mongod

    @classmethod
    def _launch(
        cls,
        binary: Path,
        data_dir: Path,
        port: int,
        replica_set: str | None,
        *,
        alone: bool,
        login: Login | None,
    ) -> Self:
        log = data_dir / LOG_NAME
        log_start = log.stat().st_size if log.exists() else 0
        command = [
            str(binary),
            *("--dbpath", str(data_dir), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"),
            *("--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"),
            *(("--replSet", replica_set, "--oplogSize", "64") if replica_set else ()),
            *(("--auth",) if login else ()),
        ]
        return cls(Kept.start(command, log=log), data_dir, port, replica_set, log_start, alone=alone, login=login)

    def __repr__(self) -> str:
        return f"<Mongod {self.uri} {self._kept!r}>"

    @property
    def uri(self) -> str:
        """The address for a client."""
        options = f"?replicaSet={self.replica_set}" if self.replica_set else ""
        return f"mongodb://127.0.0.1:{self.port}/{options}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._kept.pid

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would: what it hadn't written to the disk is lost."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Stop the server in order: the next start has nothing to recover. Stopping twice does nothing."""
        self._kept.stop(STOP_GRACE_S)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        with direct_client(self.port, self._login) as client:
            while not self._ready(client):
                code = self._kept.poll()
                if code is not None or time.monotonic() > deadline:
                    raise MongodNotStarted(code, self.data_dir, self._complaint())
                time.sleep(LOOK_AGAIN_S)

    def _ready(self, client: MongoClient[dict[str, Any]]) -> bool:
        try:
            # Another server may have taken the port in the meantime.
            if self._kept.poll() is not None or client.admin.command("serverStatus")["pid"] != self.pid:
                return False
            if self.replica_set is None or not self._alone:
                return True
            form_replica_set(client, self.replica_set, self.port)
            return is_primary(client)
        except PyMongoError:
            return False

    def _complaint(self) -> str:
        """Return the errors that this start logged; if there are none, its last lines."""
        written = (self.data_dir / LOG_NAME).read_bytes()[self._log_start :].decode(errors="replace")
        lines = written.splitlines()
        errors = [line for line in lines if ERROR_LINE.search(line)]
        return "\n".join((errors or lines)[-LOG_TAIL_LINES:])


def _may_pass(failure: MongodNotStarted, port: int | None) -> bool:
    """Tell whether trying again helps: another port is free, or the directory soon will be."""
    return failure.code == EXIT_DIRECTORY_BUSY or (failure.code == EXIT_PORT_TAKEN and port is None)


@contextmanager
def mongo_uri_or_embedded(data_dir: Path) -> Iterator[str]:
    """Give the address in MONGO_URI if there is one, else that of a server on the directory for as long."""
    if given := os.environ.get("MONGO_URI"):
        yield given
        return
    with Mongod.start(data_dir) as mongod:
        yield mongod.uri
