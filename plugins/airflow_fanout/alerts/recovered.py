"""The message that a report is good again, and what that took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

import msgspec

from airflow_fanout.alerts.message import Alert, AlertLink, Facts, Look, Pages, Piece, Say, alert, day
from airflow_fanout.alerts.started import Started
from airflow_fanout.staging.open_failures import OpenFailure, ReportRun


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """What it took until a run was good.

    :param ended: when the good run ended.
    :param cleared: how often somebody has cleared it.
    :param requests: how many requests its fetches sent, in the last try of each.
    :param parameters: how many parameters they were for.
    :param seconds: how long these took: of fetches side by side, the longest.
    :param documents: how many documents it has loaded; `None` if nobody knows.
    """

    ended: datetime
    cleared: int = 0
    requests: int | None = None
    parameters: int = 0
    seconds: float = 0.0
    documents: int | None = None


def recovered(
    run: ReportRun,
    failures: Sequence[OpenFailure],
    zone: tzinfo,
    pages: Pages,
    effort: Effort,
    started: Started | None = None,
) -> Alert:
    """Return the message about a good run that ends failures, the oldest of them first; there is at least one."""
    subject = f"{pages.dag_id} is good again: {day(run.as_of, zone)} is loaded"
    took_s = max(0.0, (effort.ended - failures[0].since).total_seconds())
    numbers = ((effort.documents, "documents"), (effort.requests, "requests"))
    counted = tuple((f"{number:,}", unit) for number, unit in numbers if number is not None)
    look = Look(tone="good", label="Good again", figures=((duration(took_s), "it took"), *counted))
    pieces = _pieces(run, failures, zone, pages, [*_facts(effort, took_s), *(started.facts if started else ())])
    return alert(subject, pieces, pages.links(run.run_id, "good-again"), look)


def _pieces(
    run: ReportRun, failures: Sequence[OpenFailure], zone: tzinfo, pages: Pages, facts: Sequence[tuple[str, str]]
) -> Iterator[Piece]:
    since = failures[0].since.astimezone(zone)
    yield Say(f"It had been failing since {since:%Y-%m-%d %H:%M} ({since.tzname()}).")
    yield Facts(tuple(facts))
    for failure in failures:
        if not failure.is_completed_by(run):
            yield Say(f"{day(failure.as_of, zone)} is still missing. To load it, clear that run's failed task.")
            yield AlertLink("Failed run", pages.page(failure.run_id))


def _facts(effort: Effort, took_s: float) -> Iterator[tuple[str, str]]:
    """Yield what it took, as far as it is known."""
    times = "once" if effort.cleared == 1 else f"{effort.cleared} times"
    cleared = f"; the run was cleared {times}" if effort.cleared else ""
    yield "It took", f"{duration(took_s)}{cleared}"
    if effort.requests is not None:
        asked_for = f"{_counted(effort.requests, 'request')} for {_counted(effort.parameters, 'parameter')}"
        yield "Last fetch", f"{asked_for}, in {duration(effort.seconds)}" if effort.requests else "no requests"
    if effort.documents is not None:
        yield "Loaded", _counted(effort.documents, "document")


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time in the largest units that matter: `42 s`, `7 min`, `3 h 12 min`, `2 d 4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
