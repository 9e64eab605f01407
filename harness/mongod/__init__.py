"""A real MongoDB without installing one: a ``mongod`` on a directory of its own, alone or in a replica set."""

from harness.mongod.binary import MongodNotFound, find_mongod
from harness.mongod.replica_set import ReplicaSet
from harness.mongod.server import LOG_NAME, Mongod, MongodNotStarted, mongo_uri_or_embedded

__all__ = [
    "LOG_NAME",
    "Mongod",
    "MongodNotFound",
    "MongodNotStarted",
    "ReplicaSet",
    "find_mongod",
    "mongo_uri_or_embedded",
]
