"""How far a run is, seen from its directory: for those who can't ask Airflow."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import msgspec

from airflow_fanout import codec
from airflow_fanout.model.progress import Progress
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.frozen import Manifest, read_manifest
from airflow_fanout.staging.store import Location, Store
from airflow_fanout.staging.validated import read_validated


class ProgressSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A fetch at the moment at which it was seen last, in a small file.

    :param rate_per_s: parameters ended per second, in the last seconds.
    :param waits_for: what was waited for, in words.
    :param deferred_until: when the task, which has given its worker slot back, goes on; `None` if it hasn't.
    """

    at: datetime
    total: int
    done: int
    ok: int
    rate_per_s: float
    waits_for: str | None = None
    deferred_until: datetime | None = None

    @classmethod
    def of(cls, progress: Progress, at: datetime) -> ProgressSnapshot:
        """Return what of a progress is worth a file."""
        now = progress.now()
        return cls(
            at=at,
            total=progress.total,
            done=progress.done,
            ok=now["ok"],
            rate_per_s=now["rate_per_s"],
            waits_for=now["waits_for"],
        )

    def write(self, location: Location) -> None:
        """Put the glimpse in place as one step."""
        location.put_whole(codec.encode(self))


def last_seen(location: Location) -> ProgressSnapshot | None:
    """Return the snapshot that was written last; `None` for a shard whose fetch hasn't begun."""
    try:
        return msgspec.convert(codec.decode(location.content()), ProgressSnapshot)
    except FileNotFoundError:
        return None


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """How far a report is.

    :param step: the task that its files speak of: "extract", "fetch", "validate" or "load".
    :param as_of: the run's one date, once the list is frozen.
    :param total: the number of parameters.
    :param glimpses: one for each shard that was seen.
    """

    step: str
    as_of: datetime | None = None
    total: int = 0
    glimpses: tuple[ProgressSnapshot, ...] = ()

    @property
    def done(self) -> int:
        """The parameters that have their outcome."""
        return sum(glimpse.done for glimpse in self.glimpses)

    @property
    def rate_per_s(self) -> float:
        """The parameters ended per second, of the shards that have more to do."""
        return sum(glimpse.rate_per_s for glimpse in self.glimpses if glimpse.done < glimpse.total)

    @property
    def left_s(self) -> float | None:
        """How long the rest takes at this rate, in seconds."""
        return (self.total - self.done) / self.rate_per_s if self.rate_per_s > 0 else None

    @property
    def waits_for(self) -> str | None:
        """What one of its shards waits for, in words."""
        return next((glimpse.waits_for for glimpse in self.glimpses if glimpse.waits_for), None)

    @property
    def deferred_until(self) -> datetime | None:
        """When the first of its shards that are deferred goes on; `None` if one is at work, or none is deferred."""
        unfinished = [glimpse.deferred_until for glimpse in self.glimpses if glimpse.done < glimpse.total]
        return None if None in unfinished else min((until for until in unfinished if until), default=None)

    @property
    def seen(self) -> datetime | None:
        """When it was seen last."""
        return max((glimpse.at for glimpse in self.glimpses), default=None)


def live(store: Store, dag_id: str, run_id: str) -> list[Live]:
    """Return how far each report of a run is; none if the run isn't there.

    :raises OSError: when the directory of the run, or of a report, can't be read.
    """
    run = layout.run(dag_id, run_id)
    lists = []
    for key in layout.reports(run, store.names(run)):
        # A file that somebody has put there is no report.
        with suppress(NotADirectoryError):
            lists.append(ReportDirectory(store, key).newest_list())
    return [_live(newest) for newest in lists if newest]


def _live(directory: ListDirectory) -> Live:
    if not directory.manifest.is_there():
        return Live(step="extract")
    manifest = read_manifest(directory)
    step = _step(directory, manifest)
    seen = [last_seen(directory.shard(number).progress) for number in range(manifest.shards)]
    glimpses = tuple(glimpse for glimpse in seen if glimpse is not None)
    return Live(step=step, as_of=manifest.moment, total=manifest.remaining, glimpses=glimpses)


def _step(directory: ListDirectory, manifest: Manifest) -> str:
    if directory.loaded.is_there():
        return "load"
    passed = read_validated(directory, manifest.id)
    if passed and passed.generations == directory.generations(manifest.shards):
        return "load"
    shards = (directory.shard(number) for number in range(manifest.shards))
    if all(shard.generation(shard.newest()).is_complete for shard in shards):
        return "validate"
    return "fetch"
