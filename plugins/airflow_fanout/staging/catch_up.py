"""A run asks for what earlier runs have left out: in a list for each of them, with that one's date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import msgspec

from airflow_fanout import codec
from airflow_fanout.model.as_of import AsOf, Source
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.errors import JournalDamaged, StagingChanged, StagingLost
from airflow_fanout.staging.frozen import CatchUp, Manifest, Selection, freeze, read_manifest
from airflow_fanout.staging.layout import CATCH_UP, number_of
from airflow_fanout.staging.left_out import LeftOut, LeftOuts, RunLeftOut, left_out_parameters
from airflow_fanout.staging.store import Store
from airflow_fanout.staging.validated import Validated

# Each list takes an engine of its own, which takes a second to start. Of a report that runs each hour, a parameter that
# fails for ever would soon make a hundred of them.
MOST_LISTS = 31


def begin_catch_ups(
    report: ReportDirectory, run_id: str, is_alive: Callable[[str], bool], warn: Callable[[str], None]
) -> tuple[CatchUp, ...]:
    """Freeze a list for each earlier run that has left something out, and return them, the oldest date first.

    What a run that still goes on is asking for already is left to that one; so is what is more than `MOST_LISTS` to the
    next run.

    :param run_id: the run that asks.
    :param is_alive: tells of a run's id whether that run still goes on.
    :param warn: takes a sentence about what can't be read; it stays where it is.
    """
    catch_ups: list[CatchUp] = []
    for location, left_out in LeftOuts.of(report.numbered(1)).all(warn):
        if len(catch_ups) == MOST_LISTS:
            break
        if left_out.run_id == run_id or not location.take(run_id, is_alive):
            continue
        try:
            # The run that held it may have loaded some of it, or all, before it was over.
            if (rest := location.read_head()) is not None:
                catch_ups.append(_frozen(report.catch_up(report.claim_next(CATCH_UP)), location, rest))
        except (StagingChanged, StagingLost, JournalDamaged, FileNotFoundError) as error:
            warn(f"What the run {left_out.run_id} has left out isn't asked for: {error}")
    return tuple(catch_ups)


def _frozen(directory: ListDirectory, location: RunLeftOut, left_out: LeftOut) -> CatchUp:
    manifest = freeze(
        left_out_parameters(location.file, left_out),
        directory,
        as_of=left_out.date,
        names=(),
        duplicates="drop",
        # For checks that compare with other runs, it is what a run for a part of the source is.
        selection=Selection(limit=left_out.count),
        shards=1,
    )
    number = number_of(directory.key)
    return CatchUp(number=number, list_id=manifest.id, run_id=left_out.run_id, nonce=left_out.nonce)


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of all that an earlier run has left out.

    :param run_id: the earlier run.
    :param day: its day, in ISO 8601.
    :param loaded: how many parameters the later run has loaded.
    :param given_up: how many have failed again, their time over.
    :param days: for how many days they were asked for.
    """

    run_id: str
    day: str
    loaded: int
    given_up: int
    days: float


class CatchUpList(msgspec.Struct, frozen=True):
    """One of a run's lists of what an earlier run has left out.

    :param location: where that is kept until it is loaded.
    """

    catch_up: CatchUp
    directory: ListDirectory
    manifest: Manifest
    location: RunLeftOut

    def __str__(self) -> str:
        manifest = self.manifest
        return f"{manifest.remaining:,} parameter(s) that the run {self.catch_up.run_id} of {manifest.day} has left out"

    @property
    def date(self) -> AsOf:
        """The date of the earlier run."""
        manifest = self.manifest
        return AsOf(moment=manifest.moment, day=manifest.day, source=cast("Source", manifest.as_of_from))

    def is_held_by(self, run_id: str) -> LeftOut | None:
        """Return what is left out now, if it is what this list was made of and the run asks for it; else `None`."""
        left_out = self.location.read_head()
        if left_out is None or left_out.nonce != self.catch_up.nonce or self.location.holder() != run_id:
            return None
        return left_out

    def settle(self, run_id: str, judged: Validated | None) -> int:
        """Keep what still has no good outcome for the next run, and return how many are given up, their time over.

        :param run_id: the run whose load has written the others.
        :param judged: what of the list has passed validation; `None` if nothing has.
        """
        left_out = self.is_held_by(run_id)
        rest = judged.left_out if judged is not None else self.manifest.remaining
        if left_out is None:
            # This load is repeated, or another run has gone on with the rest since.
            return 0
        if rest and datetime.now(UTC) < left_out.until:
            if judged is not None:
                self.location.publish(self.directory.left_out)
            return 0
        settled = Settled(
            run_id=left_out.run_id,
            day=left_out.day,
            loaded=self.manifest.remaining - rest,
            given_up=rest,
            days=(left_out.until - left_out.since).days,
        )
        self.directory.settled.put_whole(codec.encode(settled))
        self.location.remove()
        return rest


def catch_up_lists(directory: ListDirectory, manifest: Manifest) -> Iterator[CatchUpList]:
    """Yield the lists of what earlier runs have left out, of a run's own list.

    :raises StagingChanged: for one that isn't as extract has frozen it.
    """
    for catch_up in manifest.catch_ups:
        own = directory.report.catch_up(catch_up.number)
        frozen = read_manifest(own)
        if frozen.id != catch_up.list_id:
            raise StagingChanged(str(own.manifest), "isn't of the list that extract has frozen")
        yield CatchUpList(catch_up, own, frozen, LeftOuts.of(own).of_run(catch_up.run_id))


def take_settled(store: Store, dag_id: str, run_id: str) -> list[Settled]:
    """Return what a run has settled of earlier ones, the oldest date first; the second time there is nothing."""
    run_key = layout.run(dag_id, run_id)
    taken = []
    for key in layout.reports(run_key, store.names(run_key)):
        report = ReportDirectory(store, key)
        for number in report.numbers(layout.CATCH_UP):
            location = report.catch_up(number).settled
            # Another callback of the run has taken it, or it isn't settled.
            with suppress(FileNotFoundError, StagingChanged, ValueError):
                taken.append(msgspec.convert(codec.decode(location.content()), Settled))
                location.delete()
    return sorted(taken, key=lambda settled: settled.day)
