"""Who is filling which temporary collection, and until when it counts as alive: on the server's own clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_fanout.mongo.errors import SwapLost
from airflow_fanout.mongo.retrying import Retrying

if TYPE_CHECKING:
    from pymongo.collection import Collection

# One small collection per database: the user of the connection needs no more than readWrite.
NAME = "fanout.leases"
KEEP_EVERY_S = 5.0
# Between two renewals lie at most three steps, each as long as its retrying, and a count, which has none.
STEPS = 4
MARGIN_S = 30.0


class Leases:
    """The leases of one collection's swaps: `_id` is the temporary collection, `ended` says that it is given up."""

    def __init__(self, collection: Collection[Any], retrying: Retrying) -> None:
        self.retrying = retrying
        self.collection = collection.database.get_collection(
            NAME, write_concern=collection.write_concern, read_preference=collection.read_preference
        )
        self._mine = {"collection": collection.name}
        lasts_ms = int(1000 * (STEPS * retrying.limit_s + MARGIN_S))
        self._expires = {"$add": ["$$NOW", lasts_ms]}

    def names(self) -> list[str]:
        """Return the temporary collections that have a lease."""
        return [lease["_id"] for lease in self.retrying.run(lambda: list(self.collection.find(self._mine, {})))]

    def take(self, name: str, run: str) -> Lease:
        """Write down that a run is about to fill a collection."""
        # In an update by pipeline, a text with a "$" would be a field's name.
        texts = {field: {"$literal": text} for field, text in {**self._mine, "run": run}.items()}
        taken = [{"$set": {**texts, "expires": self._expires}}]
        self.retrying.run(lambda: self.collection.update_one({"_id": name}, taken, upsert=True))
        return Lease(self, name)

    def end(self, name: str, run: str) -> bool:
        """End a lease that is over or is an older try's of the same run; return whether nobody has the collection.

        :param name: the temporary collection.
        :param run: the run that asks.
        """
        over = [{"run": run}, {"ended": True}, {"$expr": {"$lt": ["$expires", "$$NOW"]}}]
        self.retrying.run(lambda: self.collection.update_one({"_id": name, "$or": over}, {"$set": {"ended": True}}))
        lease = self.retrying.run(lambda: self.collection.find_one({"_id": name}))
        return lease is None or bool(lease.get("ended"))

    def renew(self, name: str) -> bool:
        """Let a lease last from now on; return whether there still was one."""
        still = {"_id": name, "ended": {"$exists": False}}
        return bool(
            self.retrying.run(
                lambda: self.collection.update_one(still, [{"$set": {"expires": self._expires}}])
            ).matched_count
        )

    def forget(self, name: str) -> None:
        """Remove a lease whose collection is gone."""
        self.retrying.run(lambda: self.collection.delete_one({"_id": name}))


class Lease:
    """The right to a temporary collection, as long as it is renewed."""

    def __init__(self, leases: Leases, name: str) -> None:
        self._leases = leases
        self._name = name
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew the lease if that is due."""
        if time.monotonic() - self._renewed >= KEEP_EVERY_S:
            self.renew()

    def renew(self) -> None:
        """Renew the lease now.

        :raises SwapLost: when somebody has ended it.
        """
        if not self._leases.renew(self._name):
            raise SwapLost(self._leases.retrying.collection)
        self._renewed = time.monotonic()
