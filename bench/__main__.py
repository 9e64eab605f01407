"""`make bench`: all comparisons in one run, into bench/RESULTS.md, build/bench.json and the plots in docs/."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench import programs
from bench.aims import aims
from bench.cases import CASES, LATENCY_MS, Case, ServerName
from bench.machine import Cores, TooFewCores, description
from bench.plots import write_plots
from bench.programs import NotInstalled
from bench.report import Occasion, results
from bench.rounds import Bench, ClientFailed, Pair, Server, in_rounds
from bench.row import Row, read_json, rows_of, write_json
from bench.sample import Sample
from bench.servers.lean import compiled, lean_server
from bench.servers.nginx import nginx_server

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"
JSON = ROOT / "build" / "bench.json"
# Comparisons with a `measure()` of their own that returns rows as dictionaries, by the name that `--only` takes.
FURTHER = ("load", "scale", "airflow")
GROUPS = (*dict.fromkeys(case.group for case in CASES), *FURTHER)
NEEDS = {"plain": ("cc",), "delayed": ("cc",), "tls-h1": ("nginx",), "tls-h2": ("nginx",)}


def main() -> int:
    """Measure what is asked for, and write what is complete."""
    options = _options()
    cases = [case for case in CASES if case.group in options.only]
    try:
        cores = Cores.of(os.sched_getaffinity(0))
        programs.check(_needed(cases, options.only))
    except (NotInstalled, TooFewCores) as error:
        print(error, file=sys.stderr)
        return 2
    before = read_json(options.json) if options.add else []
    rows, failures = _measured(cases, cores, options)
    rows = [*(row for row in before if row.group not in options.only), *rows]
    # Airflow takes longest: what is there by then is kept, whatever becomes of it.
    write_json(rows, options.json)
    rows += _further(options.only)
    write_json(rows, options.json)
    _report(rows, failures, cores, options)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description="Compare clients over one lean server.")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds (default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="how long a sample lasts (default: as long as its case says)")
    parser.add_argument("--json", type=Path, default=JSON, help="where the rows go (default: build/bench.json)")
    groups = f"only these groups of cases: {', '.join(GROUPS)}"
    parser.add_argument("--add", action="store_true", help="keep the rows of other groups that the JSON file has")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP", help=groups)
    seed = random.randrange(10_000)
    parser.add_argument("--seed", type=int, default=seed, help="decides the order (default: a new one each time)")
    return parser.parse_args()


def _needed(cases: Sequence[Case], groups: Sequence[str]) -> frozenset[str]:
    needed = {program for case in cases for program in NEEDS[case.server]}
    needed |= {"wrk" for case in cases for client in case.clients if client.kind == "wrk"}
    return frozenset(needed | ({"cc"} if "airflow" in groups else set()))


@contextmanager
def servers(cases: Sequence[Case], core: int) -> Iterator[dict[ServerName, Server]]:
    """Run the servers that the cases want, all on one core: only one of them has work at a time."""
    wanted = {case.server for case in cases}
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        found: dict[ServerName, Server] = {}
        if wanted & {"plain", "delayed"}:
            program = compiled(folder)
            found["plain"] = Server(running.enter_context(lean_server(program, core=core)))
            delayed = lean_server(program, core=core, latency_ms=LATENCY_MS)
            found["delayed"] = Server(running.enter_context(delayed))
        if wanted & {"tls-h1", "tls-h2"}:
            nginx = running.enter_context(nginx_server(folder, core=core))
            found["tls-h1"] = Server(nginx.h1, str(nginx.authority))
            found["tls-h2"] = Server(nginx.h2, str(nginx.authority))
        yield found


def _measured(cases: Sequence[Case], cores: Cores, options: argparse.Namespace) -> tuple[list[Row], list[ClientFailed]]:
    samples: dict[Pair, list[Sample]] = {Pair(case, client): [] for case in cases for client in case.clients}
    failures = []
    with servers(cases, cores.server) as running:
        bench = Bench(running, cores, seconds=options.seconds)
        for number, pair in in_rounds(cases, options.rounds, seed=options.seed):
            try:
                done = bench.sample(pair)
            except ClientFailed as failure:
                # The others' numbers are worth having, and the page says that this one is missing.
                print(failure, file=sys.stderr)
                failures.append(failure)
                continue
            samples[pair].append(done)
            print(f"{number}  {pair.case.name:20} {pair.client.name:28} {done.rate_per_s:>9,.0f}/s", flush=True)
    rows = [row for pair, found in samples.items() for row in rows_of(pair.case.name, pair.client.name, found)]
    return rows, failures


def _further(groups: Sequence[str]) -> Iterator[Row]:
    for name in FURTHER:
        if name in groups and importlib.util.find_spec(f"bench.{name}"):
            print(f"   {name} …", flush=True)
            yield from (Row(**row) for row in importlib.import_module(f"bench.{name}").measure())


def _report(rows: Sequence[Row], failures: Sequence[ClientFailed], cores: Cores, options: argparse.Namespace) -> None:
    occasion = Occasion(
        moment=datetime.now(UTC),
        machine=description(),
        rounds=options.rounds,
        seed=options.seed,
        failures=[f"{failure.case}, {failure.client}" for failure in failures],
        added=sorted(options.only) if options.add else (),
    )
    page = results(rows, aims(rows, cores_for_two=cores.are_left_to_two), occasion)
    if {row.group for row in rows} == set(GROUPS):
        RESULTS.write_text(page)
        print("Written:", options.json, RESULTS, *write_plots(rows, ROOT / "docs"))
    else:
        # Part of it: the results in the repository are always those of all groups.
        print(page)
        print("Written:", options.json)


if __name__ == "__main__":
    sys.exit(main())
