"""Several servers that elect one of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pymongo.errors import OperationFailure, PyMongoError

from harness.mongod.direct import direct_client, is_primary
from harness.mongod.server import LOOK_AGAIN_S, Mongod
from harness.processes import StoppedAtTheEnd

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

# On one machine a missing heartbeat is a dead member, and not a slow network.
ELECTION_TIMEOUT_MS = 2000
HEARTBEAT_MS = 500
ELECTION_LIMIT_S = 30.0
STEP_DOWN_S = 3
CATCH_UP_S = 2
# MongoDB's code for a primary that found no successor in time.
EXCEEDED_TIME_LIMIT = 262


class ReplicaSet(StoppedAtTheEnd):
    """Several ``mongod`` on 127.0.0.1 that elect one of them; gone when its context ends or its owner dies."""

    def __init__(self, name: str, members: list[Mongod]) -> None:
        self.name = name
        self._members = members

    @classmethod
    def start(cls, data_dir: Path, *, name: str = "rs0", size: int = 3) -> Self:
        """Start ``size`` members on a new directory; return once one of them is primary."""
        started = cls(name, [])
        try:
            for number in range(size):
                started._members.append(Mongod.start(data_dir / f"member-{number}", replica_set=name, alone=False))
            started._initiate()
            started.primary()
        except BaseException:
            started.stop()
            raise
        return started

    def __repr__(self) -> str:
        return f"<ReplicaSet {self.uri}>"

    @property
    def uri(self) -> str:
        """The address for a client: all members, alive or not."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self._members)
        return f"mongodb://{hosts}/?replicaSet={self.name}"

    @property
    def members(self) -> tuple[Mongod, ...]:
        """The members, alive or not."""
        return tuple(self._members)

    def primary(self) -> Mongod:
        """Return the primary, once there is one; raise TimeoutError if there is none."""
        deadline = time.monotonic() + ELECTION_LIMIT_S
        while time.monotonic() < deadline:
            for member in self._members:
                if _leads(member):
                    return member
            time.sleep(LOOK_AGAIN_S)
        raise TimeoutError(f"No member of {self!r} is primary after {ELECTION_LIMIT_S:g} s.")

    def step_up(self, member: Mongod) -> None:
        """Let a member be elected at once, without waiting until the others miss the primary."""
        deadline = time.monotonic() + ELECTION_LIMIT_S
        while True:
            try:
                with direct_client(member.port) as client:
                    client.admin.command("replSetStepUp")
                return
            except PyMongoError:
                # Another one may be elected already.
                if time.monotonic() > deadline or any(map(_leads, self._members)):
                    return
                time.sleep(LOOK_AGAIN_S)

    def step_down(self) -> Mongod:
        """Let the primary step down for a while; return who it was, while the others elect."""
        deadline = time.monotonic() + ELECTION_LIMIT_S
        while True:
            old = self.primary()
            try:
                with direct_client(old.port) as client:
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
        with direct_client(self._members[0].port) as client:
            client.admin.command("replSetInitiate", {"_id": self.name, "members": members, "settings": settings})


def _leads(member: Mongod) -> bool:
    try:
        with direct_client(member.port) as client:
            return is_primary(client)
    except PyMongoError:
        return False
