from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cases import Case
from bench.clients import FANOUT, FANOUT_FUNCTION, OURS, PEERS, THREADS, Client
from bench.machine import Cores
from bench.rounds import Bench, ClientFailed, Pair, Server, in_rounds
from bench.row import read_json, rows_of, write_json
from bench.sample import Sample
from tests.bench.servers import python_server

ROOT = Path(__file__).resolve().parents[2]
CORE = min(os.sched_getaffinity(0))
# One core for all does for a test, which looks at what is told and not at how fast it was.
CORES = Cores(server=CORE, client=CORE, several=frozenset({CORE}))


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a small server."""
    with python_server() as address:
        yield address


@pytest.mark.parametrize("client", [*PEERS, *OURS], ids=lambda client: client.name)
def test_a_client_sends_what_it_is_asked(client: Client, base: str) -> None:
    """Each client in a process of its own: as many answers as requests, with processor time, memory and latencies."""
    case = Case(name="tiny", clients=(client,), count=60, concurrency=8)
    done = Bench({"plain": Server(base)}, CORES).sample(Pair(case, client))
    assert done.requests == 60
    assert done.seconds > 0
    assert done.cpu_s is not None
    assert done.peak_mb is not None
    assert 10 < done.peak_mb < 300
    assert done.p50_ms is not None
    assert done.p99_ms is not None
    assert 0 < done.p50_ms <= done.p99_ms
    assert (done.started_s is not None) == (client in OURS)
    assert done.started_s is None or done.started_s > done.seconds


def test_a_sample_lasts_about_as_long_as_it_shall(base: str) -> None:
    """A trial shows how many requests fit."""
    case = Case(name="timed", clients=(THREADS,), concurrency=8, seconds=1.0)
    done = Bench({"plain": Server(base)}, CORES).sample(Pair(case, THREADS))
    # On a machine that is busy meanwhile it lasts longer.
    assert done.seconds > 0.3


@pytest.mark.parametrize("client", [THREADS, FANOUT], ids=lambda client: client.name)
def test_a_client_whose_requests_fail_has_no_sample(client: Client, base: str) -> None:
    """An answer that isn't good ends the sample with the client's own words."""
    case = Case(name="bad", clients=(client,), count=5, concurrency=2, size="none")
    with pytest.raises(ClientFailed, match=re.escape(f"{client.name} failed in the case bad")):
        Bench({"plain": Server(base)}, CORES).sample(Pair(case, client))


def test_one_round_of_a_tiny_case(base: str, tmp_path: Path) -> None:
    """From the rounds to the file: a row for each client, and one more for what has a start."""
    case = Case(name="tiny", clients=(THREADS, FANOUT_FUNCTION), count=40, concurrency=4)
    bench = Bench({"plain": Server(base)}, CORES)
    samples: dict[Pair, list[Sample]] = {}
    for _, pair in in_rounds([case], 1, seed=0):
        samples.setdefault(pair, []).append(bench.sample(pair))
    rows = [row for pair, found in samples.items() for row in rows_of(pair.case.name, pair.client.name, found)]
    write_json(rows, tmp_path / "bench.json")
    assert {(row.case, row.client) for row in read_json(tmp_path / "bench.json")} == {
        ("tiny", THREADS.name),
        ("tiny", FANOUT_FUNCTION.name),
        ("tiny+start", FANOUT_FUNCTION.name),
    }


def test_without_its_programs_nothing_is_measured(tmp_path: Path) -> None:
    """The one sentence names all that is missing; nothing is written."""
    program = "import sys, bench.programs, bench.__main__; bench.programs.ALSO = ''; sys.exit(bench.__main__.main())"
    told = subprocess.run(
        [sys.executable, "-c", program, "--only", "tls", "--json", str(tmp_path / "rows.json")],
        env={**os.environ, "PATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert told.stderr == (
        "The benchmark needs nginx and wrk on the PATH; on Debian: apt-get install nginx-light wrk\n"
    )
    assert [*tmp_path.iterdir()] == []
