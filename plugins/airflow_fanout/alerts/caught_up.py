"""The message that a run has completed what earlier runs were loaded without, or that this is given up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_fanout.alerts.message import Alert, AlertLink, Look, Pages, Piece, Say, alert
from airflow_fanout.staging.catch_up import Settled
from airflow_fanout.staging.open_failures import ReportRun


def caught_up(run: ReportRun, settled: Sequence[Settled], pages: Pages) -> Alert:
    """Return the message about a run that ends what earlier ones have left out, the oldest date first."""
    given_up = [each for each in settled if each.given_up]
    if given_up:
        days, missing = _days(given_up), sum(each.given_up for each in given_up)
        subject = f"{pages.dag_id} stays incomplete for {days}: {missing:,} given up"
        look = Look(tone="bad", label="Incomplete", figures=((f"{missing:,}", "given up"),))
    else:
        subject = f"{pages.dag_id} is complete for {_days(settled)}"
        loaded = sum(each.loaded for each in settled)
        look = Look(tone="good", label="Complete", figures=((f"{loaded:,}", "loaded"),))
    return alert(subject, _pieces(settled, pages), pages.links(run.run_id, "loaded-in-part"), look)


def _days(settled: Sequence[Settled]) -> str:
    return ", ".join(sorted({each.day for each in settled}))


def _pieces(settled: Sequence[Settled], pages: Pages) -> Iterator[Piece]:
    for each in settled:
        if each.given_up:
            yield Say(
                f"{each.day}: {each.given_up:,} parameters that were left out have failed again, and are given up, "
                f"because their {each.days:g} days are over. {each.loaded:,} others are loaded. To ask for them once "
                "more, clear the fetch task of that run with its downstream tasks."
            )
        else:
            yield Say(f"{each.day}: the {each.loaded:,} parameters that were left out are loaded.")
        yield AlertLink("That run", pages.run(each.run_id))
