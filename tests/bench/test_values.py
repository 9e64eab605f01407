from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.__main__ import GROUPS
from bench.aims import AIRFLOW_FETCH, IN_AIRFLOW, TWO, Aim, Ratio, aims, ratio_aim
from bench.cases import CASES, LISTS, STEPS, Case
from bench.chart import Chart
from bench.clients import FANOUT, THREADS, UVLOOP
from bench.machine import Cores, TooFewCores
from bench.plots import SIZE, THROUGHPUT, decades, write_plots
from bench.programs import NotInstalled
from bench.report import Occasion, results, table
from bench.rounds import in_rounds
from bench.row import Row, read_json, rows_of, write_json
from bench.sample import Sample, quantile
from bench.wrk import parsed

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ("--rounds", "--only", "--seconds", "--seed", "--json")
RATIO = Ratio("plain", FANOUT.name, THREADS.name, 15)
FIELDS = {"case", "client", "rate_per_s", "cpu_us", "peak_mb", "p50_ms", "p99_ms"}
WRK = """Running 3s test @ http://127.0.0.1:1/500/10000
  1 threads and 100 connections
  Latency Distribution
     50%  504.00us
     75%    1.91ms
     90%    3.80ms
     99%    1.77s
  260153 requests in 3.02s, 148.86MB read
Requests/sec:  86204.41
"""


def row(case: str, client: str, rate_per_s: float, **more: float) -> Row:
    """Return a row."""
    return Row(case=case, client=client, rate_per_s=rate_per_s, **more)


def judged(aim: str, rows: list[Row], *, cores_for_two: bool = True) -> list[Aim]:
    """Return the aims with such a text."""
    return [one for one in aims(rows, cores_for_two=cores_for_two) if aim in one.text]


def test_a_row_has_the_medians_of_its_samples() -> None:
    """Of three samples the middle one counts, number by number; processor time is for one request."""
    samples = [
        Sample(requests=100, seconds=seconds, cpu_s=cpu_s, peak_mb=peak_mb, p50_ms=1.0)
        for seconds, cpu_s, peak_mb in ((1.0, 0.003, 40.0), (2.0, 0.001, 60.0), (4.0, 0.002, 50.0))
    ]
    assert rows_of("plain", "x", samples) == [row("plain", "x", 50.0, cpu_us=20.0, peak_mb=50.0, p50_ms=1.0)]


def test_the_rate_with_the_start_is_a_row_of_its_own() -> None:
    """What counts the interpreter's start is never mixed with what doesn't."""
    rows = rows_of("plain", "x", [Sample(requests=100, seconds=1.0, started_s=2.0)])
    assert rows == [row("plain", "x", 100.0), row("plain+start", "x", 50.0)]


def test_no_sample_no_row() -> None:
    """A client that failed each time has no numbers."""
    assert rows_of("plain", "x", []) == []


def test_the_json_has_rows_with_all_fields(tmp_path: Path) -> None:
    """Each row has exactly the seven fields, null where nothing was measured, and reads back as it was."""
    rows = [row("plain", "wrk", 1000.0, cpu_us=9.5), row("plain", "x", 10.0)]
    path = tmp_path / "build" / "bench.json"
    write_json(rows, path)
    written = json.loads(path.read_text())
    assert [*written] == ["rows"]
    assert [set(one) for one in written["rows"]] == [FIELDS, FIELDS]
    assert written["rows"][1]["peak_mb"] is None
    assert read_json(path) == rows


@pytest.mark.parametrize(("rate", "met"), [(1500.0, True), (1499.0, False)])
def test_a_ratio_is_met_from_its_bound_on(rate: float, met: bool) -> None:
    """The rates decide; processor time is told beside."""
    found = {("plain", FANOUT.name): row("plain", FANOUT.name, rate, cpu_us=50.0)}
    found[("plain", THREADS.name)] = row("plain", THREADS.name, 100.0, cpu_us=700.0)
    aim = ratio_aim(RATIO, found)
    assert aim.met is met
    assert aim.found == f"{rate / 100:.2f} ×, 14.00 × by processor time"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    """Without rows every aim is there, and none is judged."""
    assert {(aim.found, aim.met) for aim in aims([], cores_for_two=True)} == {("not measured", None)}


@pytest.mark.parametrize(
    ("case", "group"),
    [("plain+start", "plain"), ("5kB", "5kB"), ("tls-h1", "tls"), ("load, new", "load"), ("scale: load 10", "scale")],
)
def test_a_row_knows_its_group(case: str, group: str) -> None:
    """The first word of a case is what `--only` calls it, whatever comes after it."""
    assert row(case, "x", 1.0).group == group


def test_two_processes_are_judged_only_with_a_core_for_each() -> None:
    """Where the server has to share their cores the ratio is told, and not judged."""
    rows = [row("plain", TWO.client, 19.0), row("plain", TWO.other, 10.0)]
    assert [aim.met for aim in judged("fanout, request, 2 processes", rows)] == [True]
    assert [aim.met for aim in judged("fanout, request, 2 processes", rows, cores_for_two=False)] == [None]


def test_a_latency_is_judged_by_the_share_of_what_it_allows() -> None:
    """At 50 ms, 100 at once make 2,000 per second; p99 has a bound, too."""
    rows = [row("latency-100", FANOUT.name, 1900.0, p99_ms=101.0)]
    assert [(aim.found, aim.met) for aim in judged("50 ms, 100 at once", rows)] == [
        ("95.0%", True),
        ("101.0 ms", False),
    ]


def test_a_million_parameters_are_compared_with_ten_thousand() -> None:
    """30 MB and 10 % more are allowed."""
    rows = [
        row(f"parameters-{count}", FANOUT.name, rate, peak_mb=mb)
        for count, rate, mb in ((LISTS[0], 110.0, 50.0), (LISTS[-1], 100.0, 81.0))
    ]
    assert [(aim.found, aim.met) for aim in judged("fetch: the", rows)] == [("+31.0 MB", False), ("+10.0%", True)]


def test_the_other_tasks_are_judged_by_their_own_measurements() -> None:
    """Loads by the share of the bare loop's rate, validate by its rate, each task by how it grows."""
    rows = [row("load, new", "airflow-fanout", 79.0), row("load, new", "bulk_write", 100.0)]
    rows += [
        row(f"scale: validate {count:,}", "airflow-fanout", 120_000.0, peak_mb=60.0) for count in (LISTS[0], LISTS[-1])
    ]
    assert [aim.met for aim in judged("load, new", rows)] == [False]
    assert [aim.met for aim in judged("validate:", rows)] == [True, True, True]
    assert [aim.met for aim in judged("extract:", rows)] == [None, None]


def test_all_four_tasks_are_judged_together() -> None:
    """What a parameter costs in all of them may grow by a tenth; without one of them nothing can be said."""
    rates = {LISTS[0]: 40_000.0, LISTS[-1]: 32_000.0}
    rows = [row(f"parameters-{count}", FANOUT.name, rate) for count, rate in rates.items()]
    rows += [
        row(f"scale: {step} {count:,}", "airflow-fanout", 100_000.0)
        for step in ("extract", "validate", "load")
        for count in rates
    ]
    assert [(aim.found, aim.met) for aim in judged("all four", rows)] == [("55.0 µs and 61.2 µs, +11.4%", False)]
    assert [aim.met for aim in judged("all four", rows[1:])] == [None]


def test_a_round_has_everybody_once_in_an_order_of_its_own() -> None:
    """Nobody is left out, the orders differ, and the seed decides them."""
    cases = [case for case in CASES if case.group in {"plain", "5kB"}]
    once = [*in_rounds(cases, 2, seed=1)]
    first, second = ([pair for number, pair in once if number == wanted] for wanted in (1, 2))
    assert set(first) == set(second) == {(case, client) for case in cases for client in case.clients}
    assert first != second
    assert once == [*in_rounds(cases, 2, seed=1)] != [*in_rounds(cases, 2, seed=2)]


def test_a_case_may_have_fewer_rounds() -> None:
    """What takes long, or is drawn only, isn't repeated as often."""
    case = Case(name="rare", clients=(THREADS,), rounds=2)
    assert [number for number, _ in in_rounds([case], 5, seed=0)] == [1, 2]


def test_the_page_about_speed_explains_all_that_is_measured() -> None:
    """Each client, each group of cases and each option of the program is on it."""
    page = (ROOT / "docs" / "speed.md").read_text()
    clients = {client.name for case in CASES for client in case.clients}
    named = {
        *(f"- **{client}**:" for client in clients),
        *(f"`{group}`" for group in GROUPS),
        *(f"`{name}`" for name in OPTIONS),
    }
    assert [name for name in sorted(named) if name not in page] == []


def test_the_names_of_cases_are_unique() -> None:
    """Rows are found by the names of case and client."""
    pairs = [(case.name, client.name) for case in CASES for client in case.clients]
    assert len(pairs) == len(set(pairs))


def test_the_page_shows_a_case_with_its_start_and_the_factor() -> None:
    """The slowest first; the row with the start is a column; threads are the measure; the machine is named."""
    rows = [
        row("plain", FANOUT.name, 20_000.0, cpu_us=40.0, peak_mb=50.2, p50_ms=4.0, p99_ms=9.0),
        row("plain+start", FANOUT.name, 15_000.0),
        row("plain", THREADS.name, 1000.0),
        row(AIRFLOW_FETCH, IN_AIRFLOW[0], 250.0),
    ]
    occasion = Occasion(
        moment=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        machine=["two cores"],
        rounds=5,
        seed=7,
        failures=["plain, httpx"],
    )
    page = results(rows, [Aim("a text", "3.00 ×", met=False)], occasion)
    assert (
        "- 2026-11-23 09:30 UTC; 5 rounds, seed 7, medians\n- two cores\n- **samples that failed**: plain, httpx"
        in page
    )
    assert "| a text | 3.00 × | **not met** |" in page
    assert "| client | requests/s | with its start | × threads | µs processor | peak MB | p50 ms | p99 ms |\n" in page
    assert "| threads + requests | 1,000 |  | 1.0 |  |  |  |  |\n" in page
    assert f"| {FANOUT.name} | 20,000 | 15,000 | 20.0 | 40 | 50 | 4.0 | 9.0 |\n" in page
    assert "| fanout | 2.0 |  |" in page
    assert "plain+start" not in page


def test_a_column_of_numbers_stands_to_the_right() -> None:
    """A column with words stands to the left."""
    assert table(("a", "b", "c"), [("x", "1", "y")]) == "| a | b | c |\n| --- | --: | --- |\n| x | 1 | y |"


def test_the_plots_are_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    """Two small files without scripts, byte for byte the same the second time."""
    rows = [row(f"concurrency-{step}", client.name, 100.0 * step) for client in (FANOUT, UVLOOP) for step in STEPS]
    rows += [row(f"parameters-{count}", FANOUT.name, 1000.0, peak_mb=50.0) for count in LISTS]
    once, again = ({path.name: path.read_text() for path in write_plots(rows, tmp_path)} for _ in range(2))
    assert {*once} == {THROUGHPUT, SIZE}
    assert once == again
    assert [name for name, svg in once.items() if "<script" in svg or len(svg) > 10_000] == []


def test_a_chart_has_a_point_for_each_value() -> None:
    """The lowest tick is at the bottom, the highest at the top, equal factors are equal distances; gaps stay gaps."""
    chart = Chart(
        title="<t>",
        x_title="x",
        x_labels=["1", "2", "3"],
        lines={"a": [10.0, None, 1000.0]},
        ticks=[10.0, 100.0, 1000.0],
        logarithmic=True,
    )
    assert chart.y(10.0) - chart.y(100.0) == pytest.approx(chart.y(100.0) - chart.y(1000.0))
    assert re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="3.5"', chart.svg()) == [
        (f"{chart.x(0):.1f}", f"{chart.y(10.0):.1f}"),
        (f"{chart.x(2):.1f}", f"{chart.y(1000.0):.1f}"),
    ]
    assert "&lt;t&gt;" in chart.svg()


def test_a_logarithmic_axis_reaches_just_as_far_as_its_values() -> None:
    """From the last round number below to the first above."""
    assert decades(130.0, 5000.0) == [100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0]


def test_no_plot_without_its_numbers(tmp_path: Path) -> None:
    """Half a run leaves the plots of the last whole one alone."""
    assert write_plots([row("plain", FANOUT.name, 1.0)], tmp_path) == []
    assert [*tmp_path.iterdir()] == []


def test_wrk_is_understood() -> None:
    """Requests, seconds and latencies in all three units; errors are no sample."""
    assert parsed(WRK, cpu_s=1.5) == Sample(requests=260153, seconds=3.02, cpu_s=1.5, p50_ms=0.504, p99_ms=1770.0)
    with pytest.raises(AssertionError, match="wrk met errors"):
        parsed(WRK + "  Non-2xx or 3xx responses: 7\n", cpu_s=1.5)


def test_quantiles_are_values_of_the_sample() -> None:
    """Of a hundred values the 99th of a hundredth, and the last one for all of them."""
    values = [float(value) for value in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 51.0, 100.0, 100.0]
    assert quantile([], 0.5) is None


def test_the_server_has_a_core_to_itself() -> None:
    """Several processes get the other cores, or all of them where that would leave one; one core isn't enough."""
    assert Cores.of({4, 5, 6}) == Cores(server=6, client=4, several=frozenset({4, 5}))
    assert Cores.of({4, 5}) == Cores(server=5, client=4, several=frozenset({4, 5}))
    assert [Cores.of(usable).are_left_to_two for usable in ({4, 5, 6}, {4, 5})] == [True, False]
    with pytest.raises(TooFewCores, match="needs two cores"):
        Cores.of({0})


def test_a_missing_program_says_how_to_get_it() -> None:
    """One sentence with all that is missing."""
    said = str(NotInstalled(("nginx", "wrk")))
    assert said == "The benchmark needs nginx and wrk on the PATH; on Debian: apt-get install nginx-light wrk"
