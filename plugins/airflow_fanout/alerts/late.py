"""The message that a report isn't loaded in time, while its run may still go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec
from msgspec.structs import replace

from airflow_fanout.alerts.message import Alert, Look, Pages, Piece, Quote, Say, alert, day
from airflow_fanout.staging.live import Live

# Progress is written every five seconds; what is older than this stands still, or its task is gone.
FRESH_S = 60
STATES = {
    "queued": "The run hasn't started: it is waiting in the queue.",
    "failed": "The run has failed; another message reports that.",
    "success": "The run has been loaded since then.",
}


class LateRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that isn't loaded in time.

    :param due: the moment by which it should have been.
    :param state: Airflow's word for how the run is: "queued", "running", "failed".
    :param reports: how far its reports are.
    """

    run_id: str
    as_of: datetime | None
    due: datetime
    zone: tzinfo
    state: str
    reports: Sequence[Live] = ()
    problem: str = ""


def late(run: LateRun, pages: Pages, now: datetime) -> Alert:
    """Return the message about a run that isn't loaded in time."""
    due = run.due.astimezone(run.zone)
    subject = f"{pages.dag_id} wasn't loaded by {due:%H:%M} ({due.tzname()}) for {day(run.as_of, run.zone)}"
    look, fetching = (
        Look(tone="waiting", label="Late"),
        [live for live in run.reports if live.step == "fetch" and live.total],
    )
    if run.state == "running" and fetching:
        done, total = sum(live.done for live in fetching), sum(live.total for live in fetching)
        percent = f"{100 * done // total} %"
        subject += f": {percent} fetched"
        figures = ((percent, "fetched"), (f"{done:,}", "done"), (f"{total:,}", "parameters"))
        look = replace(look, figures=figures, good_share=done / total)
    return alert(subject, _pieces(run, now), pages.links(run.run_id, "late"), look)


def _pieces(run: LateRun, now: datetime) -> Iterator[Piece]:
    fetching = [report for report in run.reports if report.step == "fetch"]
    if run.state == "running" and fetching and all(_is_deferred(report, now) for report in fetching):
        yield Say("The run holds no worker slot now. It continues by itself; there is nothing to do.")
    else:
        yield Say(STATES.get(run.state, "The run is still in progress."))
    if run.problem:
        yield Say(run.problem)
    if run.state == "running":
        for report in run.reports:
            yield Quote(_line(report, run.zone, now))
        if not run.reports and not run.problem:
            yield Say("None of its tasks has written anything yet.")
    yield Say("The runbook explains what slows a run down, and how to resume it.")


def _line(report: Live, zone: tzinfo, now: datetime) -> str:
    if report.step != "fetch":
        return f"{report.step} is next or running" + (f"; {report.total:,} parameters" if report.total else "")
    share = f" ({1000 * report.done // report.total / 10:.1f} %)" if report.total else ""
    left = "" if report.left_s is None else f", about {_duration(report.left_s)} left"
    waits = f"; waiting: {report.waits_for}" if report.waits_for else ""
    if (until := report.deferred_until) is not None and _is_deferred(report, now):
        when = f"{until.astimezone(zone):%Y-%m-%d %H:%M %Z}"
        return f"fetch: {report.done:,} of {report.total:,}{share}, deferred until {when}{waits}"
    done = f"fetch: {report.done:,} of {report.total:,}{share}, {report.rate_per_s:,.0f}/s{left}"
    age = "; no news of it yet"
    if report.seen is not None:
        age_s = (now - report.seen).total_seconds()
        age = f"; no news of it for {_duration(age_s)}" if age_s > FRESH_S else ""
    return f"{done}{waits}{age}"


def _is_deferred(report: Live, now: datetime) -> bool:
    """Return whether a fetch has given its worker slot back: it says nothing until then, as it should."""
    until = report.deferred_until
    return until is not None and now < until + timedelta(seconds=FRESH_S)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"
