from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.history import MOST_RUNS, GoodRun, History
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.custom import LONGEST_SAYING, CustomCheck
from airflow_fanout.validation.checks.drift import Drift
from airflow_fanout.validation.checks.listed import to_checks
from airflow_fanout.validation.checks.max_empty import MaxEmpty
from airflow_fanout.validation.checks.result_schema import ResultSchema
from airflow_fanout.validation.checks.running import CheckContext
from airflow_fanout.validation.checks.unique import Unique
from airflow_fanout.validation.inspection import Inspection
from airflow_fanout.validation.verdict import Finding
from tests.ids import plain_repr
from tests.staging.places import place

NOW = "2026-06-15T00:00:00+00:00"
NOWHERE = History(place(Path("nowhere") / "history.jsonl"))
PARAMETER = {"tel": "+12025550143"}
ANY_RUN = GoodRun(as_of=NOW, parameters=1, rows=1, null_share=0.0)


def record(index: int, result: Json, parameter: Json = PARAMETER) -> Record:
    """Return the record of a good result."""
    return Record.of(index, parameter, Outcome(Kind.OK, result=result), 1, 10.0)


def findings(checks: Iterable[Check], records: Sequence[Record], now: GoodRun = ANY_RUN, **case: Any) -> list[Finding]:
    """Return what checks find in records."""
    with Inspection(checks, CheckContext(**{"records": lambda: records, "history": NOWHERE, **case})) as inspection:
        for one in records:
            inspection.add(one)
        return inspection.findings(now)


def problem(check: Check, results: Iterable[Json], **case: Any) -> str | None:
    """Return what one check finds in results."""
    found = findings([check], [record(index, result) for index, result in enumerate(results)], **case)
    return found[0].problem if found else None


# --- ResultSchema ---------------------------------------------------------------------------------------

CALL = {"type": "object", "properties": {"tel": {"type": "string"}, "s": {"type": "integer", "minimum": 0}}}
CALLS = {"type": "array", "items": CALL}


def test_results_that_fit_a_schema_pass() -> None:
    """Any JSON that the schema describes is right, whole numbers of any size among it."""
    assert problem(ResultSchema(CALLS), [[], [{"tel": "x", "s": 10**30}], [{}, {"more": 1}]]) is None


def test_a_result_that_does_not_fit_is_named_with_its_place() -> None:
    """The message has the number, and of some the parameter, masked, the place, and the rule: no value."""
    wrong = [{"tel": "x"}, {"tel": "+12025550177", "s": -987654}]
    assert problem(ResultSchema(CALLS), [[], wrong, "nonsense"]) == (
        "2 results don't fit: #1 {tel: …43}: 1/s breaks items/properties/s/minimum; "
        "#2 {tel: …43}: the result breaks type"
    )


def test_a_place_does_not_say_names_that_are_data() -> None:
    """Of a result keyed by telephone numbers the message shows the names that the schema has, and no others."""
    schema = {"properties": {"by": {"additionalProperties": {"properties": {"s": {"type": "integer"}}}}}}
    for key in ("+12025550177", "12025550177", "anna"):
        found = problem(ResultSchema(schema), [{"by": {key: {"s": "x"}}}])
        assert found is not None
        assert found.endswith(": by/…/s breaks properties/by/additionalProperties/properties/s/type"), found


def test_a_value_is_shown_where_the_report_says_so() -> None:
    """Where nothing is personal data the message has the parameter and the value."""
    found = problem(ResultSchema(CALLS), [[{"s": -5}]], shown=True)
    assert found == '1 results don\'t fit: #0 {"tel":"+12025550143"}: 0/s: -5 is less than the minimum of 0'


def test_a_format_is_demanded() -> None:
    """A `format` in the schema is no remark."""
    check = ResultSchema({"type": "string", "format": "date"})
    assert problem(check, ["2026-06-15"]) is None
    assert problem(check, ["15.6.2026"]) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objct"},
        {"pattern": "("},
        {"$ref": "#/$defs/nothing"},
        {"enum": [{1, 2}]},
        {1: 2},
        '{"type": "object"}',
        None,
        [],
    ],
    ids=repr,
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    """A misspelt schema is an error of the DAG file, not of the report."""
    with pytest.raises(BadSetting) as caught:
        ResultSchema(schema)
    assert caught.value.field.startswith("schema")


def test_a_fault_in_a_schema_is_named_by_its_place() -> None:
    """The message says which part of a long schema is wrong."""
    with pytest.raises(BadSetting) as caught:
        ResultSchema({"items": {"properties": {"s": {"type": "intger"}}}})
    assert caught.value.field == "schema['items']['properties']['s']['type']"
    assert caught.value.value == "intger"


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/schema.json", "https://127.0.0.1:9/s", "a file"])
def test_a_schema_is_whole(place: str, tmp_path: Path) -> None:
    """Nothing is fetched or read for a reference while a DAG file is parsed: it leads into the schema itself."""
    (tmp_path / "schema.json").write_text('{"type": "string"}')
    reference = (tmp_path / "schema.json").as_uri() if place == "a file" else place
    with pytest.raises(BadSetting, match="outside of the schema; put it under"):
        ResultSchema({"$ref": reference})
    assert problem(ResultSchema({"$ref": "#/$defs/s", "$defs": {"s": {"type": "string"}}}), ["x"]) is None


# --- Unique ---------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5) | st.sampled_from(["0", "1", [0], {"a": 1}, True, None])))
def test_each_value_is_there_once(values: list[Json]) -> None:
    """All but the first of equal values are found; a text is no number, and null is no value."""
    kinds = [(type(value).__name__, str(value)) for value in values if value is not None]
    found = problem(Unique("id"), [{"id": value} for value in values])
    count = len(kinds) - len(set(kinds))
    assert (found or "0").split()[0] == str(count)


def test_a_field_may_lie_deep() -> None:
    """A dotted path leads into objects and lists; the sample has the parameter and the value, masked."""
    found = problem(Unique("rows.0.tel"), [{"rows": [{"tel": "+12025550188"}]}] * 2)
    assert found == "1 results repeat the value of an earlier one: #1 {tel: …43}: …88"


def test_results_without_the_field_are_not_compared() -> None:
    """A field that isn't there isn't the same as another that isn't."""
    assert problem(Unique("tel"), [{}, {}, [], "x", None, {"tel": None}, {"tel": None}]) is None


@pytest.mark.parametrize(
    ("path", "results", "instead"),
    [
        ("tle", [{"tel": 1, "at": 2}, {}, {"id": 1}], "the fields that are there: at, id, tel"),
        ("tel", [[{"tel": 1}], [], [{"tel": 1}]], "what is there is of type list"),
        ("tel", [7, {"id": 1}], "the fields that are there: id; what is there is of type int"),
        ("rows.0.tle", [{"rows": [{"tel": 1}]}, {"rows": []}, {"rows": None}], "the fields that are there: tel"),
        ("+12025550188", [{"+12025550143": 1}], "the fields that are there: …43"),
        ("@odata.id", [{"@odata.id": 1}], "@odata.id. A name with a dot in it is written as a tuple: ('@odata.id',)"),
    ],
    ids=repr,
)
def test_a_field_that_no_result_has_is_a_finding(path: str, results: list[Json], instead: str) -> None:
    """A misspelt name compares nothing, which is no proof of anything: the check says what there is."""
    found = problem(Unique(path), results) or ""
    assert found.startswith("no result has this field, so nothing was compared; ")
    assert found.endswith(instead)


@pytest.mark.parametrize(
    ("path", "results"),
    [
        ("tel", []),
        ("tel", [{}, [], ""]),
        ("tel", [{"id": 1}, {"tel": None}]),
        ("rows.0.tel", [{"rows": []}, {"rows": None}]),
        ("rows.3.tel", [{"rows": [{"tel": 1}]}]),
        (("@odata.id",), [{"@odata.id": 1}, {"@odata.id": 2}]),
    ],
    ids=repr,
)
def test_what_says_nothing_about_a_field_is_no_finding(path: Any, results: list[Json]) -> None:
    """No result, empty ones, null, and a list that is too short: the name may be right."""
    assert problem(Unique(path), results) is None


def test_the_order_of_fields_does_not_make_a_difference() -> None:
    """Two objects with the same fields are the same value."""
    assert problem(Unique("at"), [{"at": {"x": 1, "y": 2}}, {"at": {"y": 2, "x": 1}}], shown=True) == (
        '1 results repeat the value of an earlier one: #1 {"tel":"+12025550143"}: {"y":2,"x":1}'
    )


@pytest.mark.parametrize("field", ["", ".", "a..b", "a.", None, 3, (), ("a", "")], ids=repr)
def test_a_field_is_a_path(field: Any) -> None:
    """What names no field is refused where it is written."""
    with pytest.raises(BadSetting) as caught:
        Unique(field)
    assert caught.value.field == "field"


# --- MaxEmpty -------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 100))
def test_a_share_that_is_just_met_is_met(total: int, percent: int) -> None:
    """With n % allowed, exactly n % empty results pass, and one more doesn't."""
    most = total * percent // 100
    check = MaxEmpty(percent / 100)
    empty: list[Json] = [[], {}, ""]

    def of(count: int) -> list[Json]:
        return [empty[index % 3] if index < count else 0 for index in range(total)]

    assert problem(check, of(most)) is None
    assert most == total or problem(check, of(most + 1)) is not None


def test_zero_and_false_are_not_empty() -> None:
    """A number is a result."""
    assert problem(MaxEmpty(0), [0, 0.0, False, " ", [None], [[]]]) is None


def test_only_good_results_are_looked_at() -> None:
    """Nulls and failures are the coverage's business, not that of a check."""
    bad = [Kind.NULL, Kind.HTTP_ERROR, Kind.ERROR]
    records = [
        record(0, {"id": 1}),
        *(Record.of(1, "x", Outcome(kind, failure=Failure("E", "e")), 1, 1.0) for kind in bad),
    ]
    checks: list[Check] = [
        ResultSchema({"type": "object"}),
        Unique("id"),
        MaxEmpty(0),
        CustomCheck(lambda pairs: str(len(list(pairs)))),
    ]
    assert [found.problem for found in findings(checks, records)] == ["1"]


def test_the_account_of_empty_results() -> None:
    """The message has both numbers, what was allowed, and as many samples as the report asks for."""
    found = problem(MaxEmpty(0.2), [[], 1, {}, ""], samples=2)
    assert found == "3 of 4 results are empty, and 20 % may be: #0 {tel: …43}; #2 {tel: …43}"
    assert problem(MaxEmpty(0.2), [[]], samples=0) == "1 of 1 results are empty, and 20 % may be"


@pytest.mark.parametrize("share", [-0.1, 1.1, 20, True, "0.2", None, float("nan")], ids=repr)
def test_a_share_is_from_0_to_1(share: Any) -> None:
    """A percentage in place of a share is refused where it is written."""
    for make in (MaxEmpty, lambda value: Drift(nulls=value)):
        with pytest.raises(BadSetting):
            make(share)


# --- Drift ----------------------------------------------------------------------------------------------


def past(path: Path, *rows: int, nulls: float = 0.0) -> History:
    """Return a history of a good run a day, the last one just before now."""
    history = History(place(path / "history.jsonl"))
    for number, count in enumerate(rows):
        day = f"2026-06-{15 - len(rows) + number:02d}T00:00:00+00:00"
        history.add(GoodRun(as_of=day, parameters=100, rows=count, null_share=nulls))
    return history


def drift(history: History, rows: int, nulls: float = 0.0, check: Drift | None = None) -> str | None:
    """Return what `Drift` finds in a run."""
    now = GoodRun(as_of=NOW, parameters=100, rows=rows, null_share=nulls)
    found = findings([check or Drift()], [], now, history=history)
    return found[0].problem if found else None


@pytest.mark.parametrize(("rows", "good"), [(49, False), (50, True), (100, True), (150, True), (151, False)])
def test_about_as_many_rows_as_usual(tmp_path: Path, rows: int, good: bool) -> None:
    """The number of rows may differ from the median of the last runs, both ways, by the share that is set."""
    assert (drift(past(tmp_path, 100, 1, 100, 100, 9000), rows) is None) is good


def test_a_difference_that_is_just_allowed_is_allowed(tmp_path: Path) -> None:
    """Neither the share of rows nor that of nulls is off by a float's last digit."""
    history = past(tmp_path, 100, 100, 100, nulls=0.3)
    for percent in range(1, 100):
        share = percent / 100
        check = Drift(rows=share, nulls=share)
        assert drift(history, 100 + percent, 0.3 + share, check) is None
        found = drift(history, 101 + percent, 0.301 + share, check)
        assert found is not None
        assert (" rows, usually 100" in found, "null, usually 30.0 %" in found) == (True, True)


def test_fewer_nulls_than_usual_are_welcome(tmp_path: Path) -> None:
    """A share of nulls is wrong only if it has grown."""
    assert drift(past(tmp_path, 100, 100, 100, nulls=0.9), 100, 0.0) is None


def test_a_young_report_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    """Up to so many good runs every run is right; whose dates are later don't count."""
    assert drift(past(tmp_path, 100, 100), 100_000) is None
    assert drift(past(tmp_path, 100, 100), 100_000, check=Drift(at_least=2)) is not None
    later = GoodRun(as_of="2026-12-24T00:00:00+00:00", parameters=1, rows=1, null_share=0.0)
    history = past(tmp_path / "other", 100, 100)
    history.add(later)
    assert drift(history, 100_000) is None


def test_only_the_last_runs_count(tmp_path: Path) -> None:
    """What was usual long ago isn't now."""
    history = past(tmp_path, 5, 5, 5, 5, 100, 100, 100)
    assert drift(history, 100, check=Drift(runs=3)) is None
    assert drift(history, 100, check=Drift(runs=7)) is not None


def test_the_account_of_a_drift_says_how_to_accept_it(tmp_path: Path) -> None:
    """The message has what is and what was, and the way out."""
    history = past(tmp_path, 2000, 2000, 2000)
    assert drift(history, 3, 0.5) == (
        "3 rows, usually 2,000; 50.0 % of the outcomes are null, usually 0.0 % (the median of 3 good runs). "
        f"If this is the new normal, remove {history.location}: the next runs start a new comparison."
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("rows", value) for value in (-1, "1", None, True, float("nan"), float("inf"))),
        *(("runs", value) for value in (0, -1, 2.5, "7", None, True, MOST_RUNS + 1, 2)),
        *(("at_least", value) for value in (0, -1, 2.5, "3", None, True, 8)),
    ],
)
def test_what_drift_is_set_to_makes_sense(setting: str, value: Any) -> None:
    """A number that can't be meant is refused where it is written."""
    with pytest.raises(BadSetting):
        Drift(**{setting: value})


# --- Over -----------------------------------------------------------------------------------------------


def test_a_function_of_the_authors_sees_all_good_results() -> None:
    """It gets each parameter with its result, in one iterator, and what it says is what is wrong."""
    seen: list[Any] = []
    assert problem(CustomCheck(seen.extend), [1, [2], None]) is None
    assert seen == [(PARAMETER, 1), (PARAMETER, [2]), (PARAMETER, None)]
    assert problem(CustomCheck(lambda pairs: f"{sum(result for _, result in pairs)} is odd"), [1, 2]) == "3 is odd"
    assert problem(CustomCheck(lambda _: ""), [1]) is None


def test_each_function_reads_for_itself() -> None:
    """Of two functions each gets all results, also if another stops early."""
    checks = [CustomCheck(lambda pairs: str(next(pairs)[1])), CustomCheck(lambda pairs: str(len(list(pairs))))]
    assert [found.problem for found in findings(checks, [record(0, "a"), record(1, "b")])] == ["a", "2"]


def no_long_calls(pairs: Iterator[tuple[Json, Json]], most: int = 3600) -> str | None:
    """Raise for a result without seconds."""
    return next((f"a call of {result['s']} s" for _, result in pairs if result["s"] > most), None)


def line_of(function: Callable[..., Any], offset: int) -> str:
    """Return a line of a function as messages name it."""
    return f"{Path(function.__code__.co_filename).name}:{function.__code__.co_firstlineno + offset}"


def test_an_exception_of_the_authors_is_a_failure_of_the_check() -> None:
    """It has its type, its message, the author's line, and the parameter in hand, masked."""
    place = line_of(no_long_calls, 2)
    for function in (no_long_calls, functools.partial(no_long_calls, most=9)):
        found = problem(CustomCheck(function), [{"s": 1}, {}, {"s": 3}])
        assert found == f"it raised KeyError at {place}, after #1 {{tel: …43}}: 's'"


def test_an_exception_does_not_tell_personal_data() -> None:
    """Values of the parameter and of the result in hand are masked in the exception's text."""

    def picky(pairs: Iterator[tuple[Json, Json]]) -> None:
        for parameter, result in pairs:
            raise ValueError(f"bad pair: {parameter['tel']} called {result[0]['to']}")

    results = [[{"to": "+12025550199"}]]
    found = problem(CustomCheck(picky), results)
    assert found is not None
    assert found.endswith(": bad pair: …43 called …99")
    shown = problem(CustomCheck(picky), results, shown=True)
    assert shown is not None
    assert shown.endswith(": bad pair: +12025550143 called +12025550199")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def ends(pairs: object) -> None:
    """End the process."""
    sys.exit(3)


def speechless(pairs: object) -> None:
    """Raise what can't be said."""
    raise Unspeakable


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (ends, f"it raised SystemExit at {line_of(ends, 2)}: 3"),
        (speechless, f"it raised Unspeakable at {line_of(speechless, 2)}: its message can't be read (RuntimeError)"),
        (lambda _: True, "it returned bool: expected a text that says what is wrong, or None"),
        (lambda _: ["x"], "it returned list: expected a text that says what is wrong, or None"),
        (iter, "it returned _Stream: expected a text that says what is wrong, or None"),
        (lambda _: "\ud800", "\\ud800"),
        (lambda _: "x" * 10_000, f"{'x' * LONGEST_SAYING}… (10,000 characters)"),
    ],
)
def test_whatever_a_function_does_is_no_crash(function: Callable[..., Any], says: str) -> None:
    """Ending the process, unspeakable exceptions and texts, answers of other types: each is said."""
    assert problem(CustomCheck(function), [1]) == says


def swallows(pairs: Iterator[tuple[Json, Json]]) -> None:
    """Read, whatever happens."""
    with suppress(Exception):
        list(pairs)


@pytest.mark.parametrize("function", [swallows, lambda pairs: str(list(pairs))])
def test_a_damaged_journal_is_no_fault_of_the_function(function: Callable[..., Any]) -> None:
    """What reading the journal raises ends the task as itself, also if the function swallows it."""

    def damaged() -> Iterator[Record]:
        yield record(0, 1)
        raise JournalDamaged("part-00000", "cut")

    case = CheckContext(records=damaged, history=NOWHERE)
    with Inspection([CustomCheck(function)], case) as inspection, pytest.raises(JournalDamaged):
        inspection.findings(ANY_RUN)


async def asynchronous(pairs: object) -> None:
    """Be no plain function."""


def generator(pairs: object) -> Iterator[str]:
    """Be no plain function either."""
    yield "x"


@pytest.mark.parametrize("function", [None, "f", 3, asynchronous, generator, dict, Drift()], ids=plain_repr)
def test_what_is_no_function_is_refused(function: Any) -> None:
    """A text, a class, an async function or a generator is refused where it is written."""
    with pytest.raises(BadSetting) as caught:
        CustomCheck(function)
    assert caught.value.field == "function"


# --- all of them ----------------------------------------------------------------------------------------


def test_all_checks_are_evaluated() -> None:
    """Each check that fails is there by its name, in the author's order, and those that pass aren't."""
    checks: list[Check] = [
        MaxEmpty(0.2),
        ResultSchema({"type": "array"}),
        Unique("id"),
        MaxEmpty(1),
        CustomCheck(no_long_calls),
        Drift(),
    ]
    found = findings(checks, [record(0, []), record(1, {"id": 1, "s": 5000}), record(2, {"id": 1, "s": 1})])
    assert [finding.check for finding in found] == [
        "MaxEmpty(0.2)",
        "ResultSchema",
        "Unique('id')",
        f"CustomCheck(no_long_calls ({line_of(no_long_calls, 0)}))",
    ]


def test_checks_are_a_list_of_checks() -> None:
    """A tuple or a list is taken as it is."""
    checks = (MaxEmpty(0.2), Drift())
    assert to_checks(checks) == to_checks([*checks]) == checks
    assert to_checks(()) == ()


@pytest.mark.parametrize(
    ("checks", "says"),
    [
        (MaxEmpty(0.2), "checks is MaxEmpty(share=0.2): expected a tuple of checks, such as (MaxEmpty(0.2),)."),
        ("null", "checks is 'null': expected a tuple of checks"),
        (None, "checks is None: expected a tuple of checks"),
        (
            (Drift(), "null"),
            "checks[1] is 'null': expected a check: ResultSchema, Unique, MaxEmpty, Drift or CustomCheck.",
        ),
        ((Drift,), "expected one with its arguments, Drift(…)."),
        ((no_long_calls,), "expected a check; a function is one as CustomCheck(function)."),
    ],
)
def test_what_is_no_check_is_refused(checks: Any, says: str) -> None:
    """The message says what was meant, most likely."""
    with pytest.raises(BadSetting) as caught:
        to_checks(checks)
    assert says in str(caught.value)


STREAM = """
import json, sys
from pathlib import Path
from airflow_fanout.validation.checks.drift import Drift
from airflow_fanout.validation.checks.max_empty import MaxEmpty
from airflow_fanout.validation.checks.custom import CustomCheck
from airflow_fanout.validation.checks.result_schema import ResultSchema
from airflow_fanout.validation.checks.unique import Unique
from airflow_fanout.validation.checks.running import CheckContext
from airflow_fanout.validation.inspection import Inspection
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.model.outcome import Kind, Outcome, Record
from tests.staging.places import place

count = int(sys.argv[1])

def records():
    for index in range(count):
        call = {"id": f"{index % (count // 2):032d}", "calls": [{"s": -1, "to": "x" * 50}] * 3}
        yield Record.of(index, {"tel": f"+1202555{index:010d}"}, Outcome(Kind.OK, result=call), 1, 1.0)

schema = {"properties": {"calls": {"items": {"properties": {"s": {"minimum": 0}}}}}}
counted = CustomCheck(lambda pairs: str(sum(1 for _ in pairs)))
checks = (ResultSchema(schema), Unique("id"), MaxEmpty(0.1), Drift(), counted)
case = CheckContext(records=records, history=History(place(Path("none.jsonl"))))
with Inspection(checks, case) as inspection:
    for record in records():
        inspection.add(record)
    found = inspection.findings(GoodRun(as_of="2026", parameters=count, rows=count, null_share=0.0))
# Not getrusage: what that says begins with the parent's memory.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps([len(found), int(peak.split()[1]) / 1024]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's largest memory")
def test_memory_is_flat(tmp_path: Path) -> None:
    """300,000 results through all checks, each of which finds many, need at most 30 MB more than 10,000 do."""

    def peak_mb(count: int) -> float:
        begun = time.monotonic()
        told = subprocess.run(
            [sys.executable, "-c", STREAM, str(count)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        failed, peak = json.loads(told.stdout)
        assert failed == 3
        print(f"{count:,} results: {peak:.1f} MB, {time.monotonic() - begun:.1f} s")
        return float(peak)

    assert peak_mb(300_000) - peak_mb(10_000) <= 30
