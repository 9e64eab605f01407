"""What a person sees of a run in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.follow import TASKS, Moment

if TYPE_CHECKING:
    from rich.console import Console


def watch(console: Console, moments: Iterable[Moment], total: int) -> Moment:
    """Show the run's progress until it has ended, and return its end."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    moment = Moment("queued", {})
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("starting", total=total, rate="")
        for moment in moments:
            told = moment.progress
            rate = f"{told['rate_per_s']:,.0f}/s" if told else ""
            whole = told.get("parameters", total)
            bars.update(bar, description=moment.current, completed=_done(moment, whole), total=whole, rate=rate)
    return moment


def _done(moment: Moment, total: int) -> int:
    # A fetch reports no progress for its last second: it ends instead.
    fetched = moment.tasks.get("fetch", {}).get("state") == "success"
    return total if fetched else moment.progress.get("done", 0)


def tasks_table(moment: Moment, returned: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the table of the four tasks: state, seconds, and what each says of its work."""
    table = Table(title="The run's tasks")
    for heading in ("task", "state", "seconds", "what it did"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for name in TASKS:
        task = moment.tasks.get(name, {})
        table.add_row(name, task.get("state") or "not run", _seconds(task), _what(returned.get(name, {})))
    return table


def _seconds(task: Mapping[str, Any]) -> str:
    if not task.get("start_date") or not task.get("end_date"):
        return ""
    begin, end = (datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
    return f"{(end - begin).total_seconds():.1f}"


def _what(summary: Mapping[str, Any]) -> str:
    shown = {
        "parameters": "{:,} parameters",
        "ok": "{:,} ok",
        "requests": "{:,} requests",
        "documents": "{:,} documents",
        "rate_per_s": "{:,.0f}/s",
        "p50_ms": "p50 {:.0f} ms",
        "p99_ms": "p99 {:.0f} ms",
    }
    return ", ".join(text.format(summary[name]) for name, text in shown.items() if summary.get(name) is not None)
