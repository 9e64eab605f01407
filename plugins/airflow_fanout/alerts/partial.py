"""The message that a run was loaded in part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo

from airflow_fanout.alerts.message import Alert, Facts, Look, Pages, Piece, Quote, Say, alert, day
from airflow_fanout.alerts.started import Started
from airflow_fanout.staging.left_out import LeftOut
from airflow_fanout.staging.open_failures import ReportRun


def partial(
    run: ReportRun, left_outs: Mapping[str, LeftOut], zone: tzinfo, pages: Pages, started: Started | None = None
) -> Alert:
    """Return the message about a run whose reports were loaded without some parameters; there is at least one."""
    missing = sum(left_out.count for left_out in left_outs.values())
    subject = f"{pages.dag_id} is loaded in part for {day(run.as_of, zone)}: {missing:,} missing"
    look = Look(tone="waiting", label="Loaded in part", figures=((f"{missing:,}", "missing"),))
    return alert(subject, _pieces(left_outs, zone, started), pages.links(run.run_id, "loaded-in-part"), look)


def _pieces(left_outs: Mapping[str, LeftOut], zone: tzinfo, started: Started | None) -> Iterator[Piece]:
    if started and started.facts:
        yield Facts(started.facts)
    for report, left_out in left_outs.items():
        of_report = f" of {report}" if len(left_outs) > 1 else ""
        yield Say(f"{left_out.count:,} parameters{of_report} have no valid result and were left out:")
        yield Quote("\n".join(f"{count:,} × {cause}" for cause, count in left_out.causes.items()))
    until = max(left_out.until for left_out in left_outs.values()).astimezone(zone)
    yield Say(
        "All others are loaded. The next run first asks again for those that are missing, with this run's date, and "
        "loads them. If they fail again, the runs after it do the same, until "
        f"{until:%Y-%m-%d %H:%M} ({until.tzname()})."
    )
    yield Say("To complete this run now, clear its fetch task with its downstream tasks.")
