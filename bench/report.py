"""`bench/RESULTS.md`: the aims, and a table for each case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.aims import AIRFLOW_FETCH, AIRFLOW_RUN, SCALE, Aim
from bench.cases import LISTS, STEPS
from bench.clients import FANOUT, THREADS
from bench.dags import COUNT
from bench.row import WITH_START, Row

MET = {True: "met", False: "**not met**", None: "can’t tell"}
TITLES = {
    "plain": "HTTP/1.1, 500 bytes, no latency, 100 at once",
    "5kB": "HTTP/1.1, 5 kB, no latency, 100 at once",
    "tls-h1": "TLS, HTTP/1.1, 500 bytes, no latency, 100 at once",
    "tls-h2": "TLS, HTTP/2, 500 bytes, no latency, 100 at once",
    "latency-100": "50 ms latency, 100 at once",
    "latency-300": "50 ms latency, 300 at once",
    "latency-1000": "50 ms latency, 1,000 at once",
}
CURVES = tuple(f"concurrency-{step}" for step in STEPS)
SIZES = tuple(f"parameters-{count}" for count in LISTS)


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """When and how the numbers came about.

    :param added: the groups that were measured in this run, if the others weren't.
    """

    moment: datetime
    machine: Sequence[str]
    rounds: int
    seed: int
    failures: Sequence[str] = ()
    added: Sequence[str] = ()


def results(rows: Sequence[Row], aims: Iterable[Aim], occasion: Occasion) -> str:
    """Return the whole page."""
    return (
        "\n\n".join(
            [
                "# Results",
                "Written by `make bench`. How it was measured, and what it means: [docs/speed.md](../docs/speed.md).",
                _occasion(occasion),
                "## Aims",
                table(("aim", "found", ""), ((aim.text, aim.found, MET[aim.met]) for aim in aims)),
                *_sections(rows),
            ]
        )
        + "\n"
    )


def _occasion(occasion: Occasion) -> str:
    rounds = f"{occasion.rounds} round{'s' if occasion.rounds > 1 else ''}, seed {occasion.seed}, medians"
    missing = [f"**samples that failed**: {'; '.join(occasion.failures)}"] if occasion.failures else []
    added = [f"measured in this run: {', '.join(occasion.added)}; the rest in one before it"] if occasion.added else []
    lines = (f"{occasion.moment:%Y-%m-%d %H:%M} UTC; {rounds}", *added, *occasion.machine, *missing)
    return "\n".join(f"- {line}" for line in lines)


def _sections(rows: Sequence[Row]) -> list[str]:
    sections = []
    apart = {AIRFLOW_FETCH, AIRFLOW_RUN, *CURVES, *SIZES}
    cases = dict.fromkeys(row.case for row in rows if row.case not in apart and not row.case.startswith(SCALE))
    cases = {case: None for case in cases if not case.endswith(WITH_START)}
    for case in sorted(cases, key=[*TITLES, *cases].index):
        sections += [f"## {TITLES.get(case, case)}", _case(case, rows)]
    for title, found in (
        ("Requests per second, by how many at once", _curves(rows)),
        ("The engine, by the number of parameters", _lists(rows)),
        ("The other tasks, by the number of parameters", _steps(rows)),
        (f"The same {COUNT} parameters in one Airflow, 50 ms latency, seconds", _airflow(rows)),
    ):
        sections += [f"## {title}", found] if found else []
    return sections


def _case(case: str, rows: Iterable[Row]) -> str:
    known = {(row.case, row.client): row for row in rows}
    there = [row for (name, _), row in known.items() if name == case]
    threads = known.get((case, THREADS.name))
    lines = []
    for row in sorted(there, key=lambda row: row.rate_per_s or 0):
        started = known.get((case + WITH_START, row.client))
        usual = threads and threads.rate_per_s
        times = row.rate_per_s / usual if row.rate_per_s and usual else None
        lines.append(
            (
                row.client,
                number(row.rate_per_s),
                number(started.rate_per_s if started else None),
                number(times, 1),
                number(row.cpu_us),
                number(row.peak_mb),
                number(row.p50_ms, 1),
                number(row.p99_ms, 1),
            )
        )
    head = ("client", "requests/s", "with its start", "× threads", "µs processor", "peak MB", "p50 ms", "p99 ms")
    return table(head, lines)


def _curves(rows: Iterable[Row]) -> str:
    found = {(row.case, row.client): row.rate_per_s for row in rows}
    clients = dict.fromkeys(client for case, client in found if case in CURVES)
    lines = ((client, *(number(found.get((case, client))) for case in CURVES)) for client in clients)
    return table(("client", *(f"{step:,}" for step in STEPS)), lines) if clients else ""


def _lists(rows: Iterable[Row]) -> str:
    found = {row.case: row for row in rows if row.case in SIZES and row.client == FANOUT.name}
    lines = []
    for count, case in zip(LISTS, SIZES, strict=True):
        if (row := found.get(case)) and row.rate_per_s:
            seconds = count / row.rate_per_s
            lines.append((f"{count:,}", number(seconds, 1), number(1e6 / row.rate_per_s, 1), number(row.peak_mb, 1)))
    return table(("parameters", "seconds", "µs for each", "peak MB"), lines) if lines else ""


def _steps(rows: Iterable[Row]) -> str:
    lines = [
        (row.case.removeprefix(SCALE), number(row.rate_per_s), number(row.cpu_us, 1), number(row.peak_mb, 1))
        for row in rows
        if row.case.startswith(SCALE)
    ]
    return table(("task and parameters", "parameters/s", "µs processor", "peak MB"), lines) if lines else ""


def _airflow(rows: Iterable[Row]) -> str:
    found = {(row.case, row.client): row.rate_per_s for row in rows if row.rate_per_s}
    clients = dict.fromkeys(client for case, client in found if case == AIRFLOW_FETCH)
    lines = [
        (client, *(number(_seconds(found.get((case, client))), 1) for case in (AIRFLOW_FETCH, AIRFLOW_RUN)))
        for client in clients
    ]
    return table(("way", "fetch step", "whole run"), lines) if lines else ""


def _seconds(rate_per_s: float | None) -> float | None:
    return COUNT / rate_per_s if rate_per_s else None


def number(value: float | None, digits: int = 0) -> str:
    """Return a number as the tables show it; nothing for `None`."""
    return "" if value is None else f"{value:,.{digits}f}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column is text, the others are numbers, unless they hold none."""
    body = [tuple(line) for line in lines]
    rules = [
        "---" if all(not line[column][:1].isdigit() for line in body) or column == 0 else "--:"
        for column in range(len(head))
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (tuple(head), tuple(rules), *body))
