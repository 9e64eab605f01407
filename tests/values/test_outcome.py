from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout import codec
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record, RecordKey

NAMES = ["ok", "null", "http_error", "api_error", "timeout", "connection_error", "invalid", "error", "not_tried"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FAILURES = st.builds(Failure, TEXTS, TEXTS, st.none() | TEXTS)
BAD = st.builds(
    Outcome,
    st.sampled_from([kind for kind in Kind if kind is not Kind.OK]),
    status=st.none() | st.integers(100, 599),
    failure=st.none() | FAILURES,
)
GOOD = st.builds(
    Outcome,
    st.just(Kind.OK),
    result=st.integers() | TEXTS | st.lists(TEXTS) | st.booleans(),
    status=st.none() | st.just(200),
)
RECORDS = st.builds(
    Record.of,
    st.integers(0, 10**9),
    st.integers() | TEXTS | st.dictionaries(TEXTS, TEXTS),
    GOOD | BAD,
    st.integers(1, 100),
    st.integers(0, 10**6).map(lambda tenths: tenths / 10),
)


def test_the_kinds_are_a_closed_set_with_stable_names() -> None:
    """Journals, summaries and alerts of older versions are still understood: no name changes."""
    assert [kind.value for kind in Kind] == NAMES


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    """A line of the journal has all of a record that counts later."""
    assert Record.from_line(codec.encode_lines([record])) == record


@given(RECORDS)
def test_a_place_is_what_its_record_is_about(record: Record) -> None:
    """Index and kind can be had without reading the rest."""
    assert RecordKey.from_line(codec.encode_lines([record])) == RecordKey(record.index, record.kind)


@pytest.mark.parametrize("line", [b"{}", b"[]", b'{"index": 1, "kind": "fine"}', b'{"index": "1", "kind": "ok"}', b"x"])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    """A line without its fields, or with others of their names, isn't taken for a record."""
    for form in (Record, RecordKey):
        with pytest.raises(codec.NotJson):
            form.from_line(line)


@pytest.mark.parametrize("result", [0, False, "", [], {}], ids=repr)
def test_a_false_result_is_kept(result: Any) -> None:
    """A result that Python takes for false is a result."""
    line = codec.decode(codec.encode_lines([Record.of(3, "x", Outcome(Kind.OK, result=result), 1, 0.5)]))
    assert line["result"] == result


def test_a_line_has_no_more_than_it_needs() -> None:
    """What doesn't apply is left out, and times are rounded to a tenth of a millisecond."""
    record = Record.of(3, {"tel": "x"}, Outcome(Kind.NULL, retry_after_s=7.0), 2, 12.3456)
    line = codec.decode(codec.encode_lines([record]))
    assert line == {"index": 3, "parameter": {"tel": "x"}, "kind": "null", "attempts": 2, "ms": 12.3}


def test_a_failure_is_written_with_its_place() -> None:
    """Type, message and line of an author's exception are in the journal."""
    outcome = Outcome(Kind.ERROR, failure=Failure("KeyError", "'calls'", "report.py:12"))
    line = codec.decode(codec.encode_lines([Record.of(0, "x", outcome, 1, 1.0)]))
    assert line["error"] == {"type": "KeyError", "message": "'calls'", "where": "report.py:12"}
