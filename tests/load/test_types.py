from __future__ import annotations

import datetime as dt
import logging
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Decimal128, Int64

from airflow_fanout import Date, MongoLoadOperator
from airflow_fanout.errors import BadSetting
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.errors import BadDocument
from airflow_fanout.mongo.shape import Shape, parameter_and_result
from airflow_fanout.mongo.types import check_types
from airflow_fanout.mongo.write import write
from tests.load.test_documents import AS_OF, TEL, good

if TYPE_CHECKING:
    from pymongo.collection import Collection

BERLIN = Date(timezone="Europe/Berlin")
PLAIN: dict[str, Any] = {
    "task_id": "load",
    "parameters": {"directory": "/staging/list-0001"},
    "database": "reports",
    "collection": "invoices",
    "key": ("id",),
}


def typed(document: dict[str, Any], types: dict[Any, Any]) -> dict[str, Any]:
    """Return a document as BSON has it, the key and the date left out; the document itself is unchanged."""
    before = deepcopy(document)
    shape = Shape(key=("tel",), as_of=AS_OF, document=lambda *_: document, types=check_types(types, "as_of"))
    with encoded([good(7, TEL)], shape) as documents:
        [(_, stored)] = documents.pairs()
    assert document == before
    found = bson.decode(stored.raw, bson.CodecOptions(tz_aware=True))
    return {name: value for name, value in found.items() if name not in ("tel", "as_of")}


def problem(value: object, kind: object) -> str:
    """Return what is wrong with a value of the field `v`."""
    with pytest.raises(BadDocument) as caught:
        typed({"v": value}, {"v": kind})
    assert caught.value.index == 7
    assert "+1202" not in str(caught.value)
    assert caught.value.__context__ is None
    return caught.value.problem


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("date", "2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("date", "2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("date", "2026-11-22 10:00:00.123999+01:00", datetime(2026, 11, 22, 9, 0, 0, 123000, tzinfo=UTC)),
        ("date", dt.date(2026, 11, 22), datetime(2026, 11, 22, tzinfo=UTC)),
        (
            "date",
            datetime(2026, 11, 22, 10, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 11, 22, 8, tzinfo=UTC),
        ),
        (BERLIN, "2026-11-22", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        (BERLIN, "2026-07-01T10:00", datetime(2026, 7, 1, 8, tzinfo=UTC)),
        (BERLIN, "2026-07-01T10:00Z", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        (BERLIN, datetime(2026, 7, 1, 10), datetime(2026, 7, 1, 8, tzinfo=UTC)),  # noqa: DTZ001 - that is the case
        # The hour that the clock of that night has twice is the first of the two.
        (BERLIN, "2026-10-25T02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (Date(format="%d.%m.%Y"), "22.11.2026", datetime(2026, 11, 22, tzinfo=UTC)),
        (
            Date(format="%d.%m.%Y %H:%M", timezone="Europe/Berlin"),
            "22.11.2026 10:00",
            datetime(2026, 11, 22, 9, tzinfo=UTC),
        ),
        (Date(format="%d.%m.%Y %H:%M %z"), "22.11.2026 10:00 +0200", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        (Date(epoch="s"), 1_795_305_600, datetime(2026, 11, 22, tzinfo=UTC)),
        (Date(epoch="s"), 1_795_305_600.25, datetime(2026, 11, 22, 0, 0, 0, 250_000, tzinfo=UTC)),
        (Date(epoch="ms"), 1_795_305_600_250, datetime(2026, 11, 22, 0, 0, 0, 250_000, tzinfo=UTC)),
        (Date(epoch="s"), -1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("decimal", "12.30", Decimal128("12.30")),
        ("decimal", "-0.1e-3", Decimal128("-0.0001")),
        ("decimal", 12.3, Decimal128("12.3")),
        ("decimal", 0.1, Decimal128("0.1")),
        ("decimal", 10**33, Decimal128(str(10**33))),
        ("decimal", Decimal("1.10"), Decimal128("1.10")),
        ("decimal", Decimal128("1.10"), Decimal128("1.10")),
        ("long", "12", Int64(12)),
        ("long", 12, Int64(12)),
        ("long", 12.0, Int64(12)),
        ("long", -(2**63), Int64(-(2**63))),
        ("double", "12.5", 12.5),
        ("double", 12, 12.0),
        ("double", ".5", 0.5),
    ],
)
def test_a_value_becomes_what_the_author_says(kind: Any, value: object, stored: object) -> None:
    """Each type, from all that JSON and a `document` function have for it."""
    found = typed({"v": value}, {"v": kind})["v"]
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize("kind", ["date", "decimal", "long", "double", BERLIN, Date(epoch="s")])
def test_null_and_absent_values_stay_so(kind: Any) -> None:
    """A type says what a value is, not that there is one."""
    assert typed(
        {"v": None, "a": None, "w": {}, "x": [None, {}]}, {"v": kind, "n": kind, "a.b": kind, "w.b": kind}
    ) == {
        "v": None,
        "a": None,
        "w": {},
        "x": [None, {}],
    }


def test_a_path_leads_into_documents_and_lists() -> None:
    """A list stands for each of its items, on the way and at the end; a name with a dot is a tuple."""
    lines = [{"amount": "1.50", "n": "1"}, {"amount": None}, {}, {"amount": "2"}]
    document = {"order": {"lines": lines, "days": [["2026-11-22"], []]}, "@odata.at": "2026-11-22", "x": "1"}
    types = {"order.lines.amount": "decimal", "order.days": "date", ("@odata.at",): "date"}
    day = datetime(2026, 11, 22, tzinfo=UTC)
    assert typed(document, types) == {
        "order": {
            "lines": [{"amount": Decimal128("1.50"), "n": "1"}, {"amount": None}, {}, {"amount": Decimal128("2")}],
            "days": [[day], []],
        },
        "@odata.at": day,
        "x": "1",
    }


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("date", "22.11.2026", "isn't a date: it is a text of the form '99.99.9999'"),
        ("date", "n/a", "isn't a date: it is a text of the form 'a/a'"),
        ("date", "", "isn't a date: it is a text of the form ''"),
        ("date", "2026-02-30", "isn't a date: it is a text of the form '9999-99-99'"),
        ("date", "0001-01-01T00:00:00+14:00", "isn't a date"),
        ("date", "x" * 50, f"a text of the form '{'a' * 40}'…"),
        ("date", True, "isn't a date: it is of type bool"),
        ("date", {"year": 2026}, "isn't a date: it is of type dict"),
        ("date", 1_795_305_600, 'a number: if it counts from 1970 on, write Date(epoch="s")'),
        (
            "date",
            "2026-11-22T10:00:00",
            'a time without an offset: name its zone, as in Date(timezone="Europe/Berlin")',
        ),
        (BERLIN, "2026-03-29T02:30:00", "a time that the clock of Europe/Berlin skips"),
        (Date(format="%d.%m.%Y"), "2026-11-22", "isn't a date: it is a text of the form '9999-99-99'"),
        (Date(epoch="s"), "1795305600", "isn't a date: it is a text of the form '9999999999'"),
        (Date(epoch="s"), 1e300, "isn't a date: it is of type float"),
        ("decimal", "1.234,56", "isn't a decimal: it is a text of the form '9.999,99'"),
        ("decimal", "NaN", "isn't a decimal"),
        ("decimal", "1_000", "isn't a decimal"),
        ("decimal", " 1", "isn't a decimal"),
        ("decimal", "١٢", "isn't a decimal"),
        ("decimal", "1" * 35, "isn't a decimal"),
        ("decimal", "1e7000", "isn't a decimal"),
        ("decimal", False, "isn't a decimal: it is of type bool"),
        ("long", "1.0", "isn't a long"),
        ("long", 1.5, "isn't a long: it is of type float"),
        ("long", 2**63, "isn't a long: it is a number of more than 64 bits"),
        ("long", 1e17, "isn't a long: it is of type float"),
        ("long", True, "isn't a long: it is of type bool"),
        ("double", "inf", "isn't a double"),
        ("double", "1e999", "isn't a double: it is a number that a double can't hold"),
        ("double", 2**53 + 1, "isn't a double: it is a number that a double can't hold"),
    ],
)
def test_what_is_none_is_named_with_its_form(kind: Any, value: object, message: str) -> None:
    """The message has the parameter, masked, the field, and the value's form; nothing of the value."""
    found = problem(value, kind)
    assert "its field 'v'" in found
    assert message in found
    for word in re.findall(r"\d{2,}", str(value)):
        assert word not in found.replace("1970", "")


def test_the_place_in_a_list_is_named() -> None:
    """The path of a value that is wrong has its place in each list."""
    with pytest.raises(BadDocument, match=re.escape("its field 'lines[1].at' isn't a date")):
        typed({"lines": [{"at": "2026-11-22"}, {"at": "soon"}]}, {"lines.at": "date"})


def test_a_text_where_a_document_should_be_is_named() -> None:
    """A path that leads into a text finds nothing there to convert."""
    with pytest.raises(BadDocument, match=re.escape("its field 'order' is a text of the form 'aa', and `types` names")):
        typed({"order": "A1"[::-1].replace("1", "b")}, {"order.at": "date"})


def test_a_typed_key_is_the_key(collection: Collection[dict[str, Any]]) -> None:
    """MongoDB finds the document by the date, and two texts for one moment are one key."""
    shape = Shape(
        key=("at",),
        as_of=AS_OF,
        document=lambda parameter, _: {"at": parameter["at"], "amount": parameter["amount"]},
        types=check_types({"at": "date", "amount": "decimal"}, "as_of"),
    )
    records = [good(0, {"at": "2026-11-22T00:00Z", "amount": "1.10"}), good(1, {"at": "2026-11-23", "amount": "2"})]
    for _ in range(2):
        with encoded(records, shape) as documents:
            assert write(collection, documents, run="r").confirmed == 2
    found = collection.find_one({"at": datetime(2026, 11, 22, tzinfo=UTC)}, {"_id": False})
    assert found == {"at": datetime(2026, 11, 22), "amount": Decimal128("1.10"), "as_of": AS_OF.replace(tzinfo=None)}  # noqa: DTZ001 - as pymongo gives it
    same = good(2, {"at": "2026-11-22T01:00+01:00", "amount": "3"})
    with (
        pytest.raises(BadDocument, match="another document of this run has the same at"),
        encoded([*records, same], shape),
    ):
        pass


def test_nothing_is_written_if_one_value_is_wrong(collection: Collection[dict[str, Any]]) -> None:
    """All documents are converted before the first is written."""
    types = check_types({"result": "date"}, "as_of")
    shape = Shape(
        key=("tel",), as_of=AS_OF, document=lambda parameter, result: {**parameter, "result": result}, types=types
    )
    records = [good(0, {"tel": "a"}, "2026-11-22"), good(1, {"tel": "b"}, "yesterday")]
    with pytest.raises(BadDocument), encoded(records, shape) as documents:
        write(collection, documents, run="r")
    assert collection.count_documents({}) == 0


def test_a_name_that_no_document_has_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelled path converts nothing, and a warning says so; one that leads to null doesn't."""
    with caplog.at_level(logging.WARNING):
        typed({"issued": None, "paid": "2026-11-22"}, {"issued": "date", "paid": "date"})
        assert caplog.messages == []
        typed({"issued": "2026-11-22"}, {"isued": "date", "lines.at": "date"})
    assert caplog.messages == ["`types` names isued, lines.at, and none of the 1 documents has it: is the name right?"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"types": "date"}, "types is 'date': expected a dict such as"),
        ({"types": None}, "types is None: expected a dict such as"),
        ({"types": {"issued": "datetime"}}, "types['issued'] is 'datetime': expected \"date\", \"decimal\""),
        ({"types": {"issued": ["date"]}}, "types['issued'] is ['date']: expected"),
        ({"types": {"": "date"}}, "types is '': expected a dict"),
        ({"types": {"a..b": "date"}}, "types is 'a..b': expected a dotted path"),
        ({"types": {7: "date"}}, "types is 7: expected a dict"),
        ({"types": {"as_of": "date"}}, "types is 'as_of': expected another field: load itself"),
        ({"types": {"as_of": "date"}, "as_of_field": None}, "types is 'as_of': expected another field: load itself"),
        ({"types": {"_id": "long"}}, "types is '_id': expected another field"),
        ({"types": {"a.b": "date", "a": "date"}}, "types is 'a': expected paths of which none leads into another"),
        ({"types": {"a": "date", ("a",): "long"}}, "expected paths of which none leads into another"),
    ],
)
def test_a_wrong_type_is_an_import_error(options: dict[str, Any], message: str) -> None:
    """What can't be meant is said while the DAG file is parsed."""
    with pytest.raises(BadSetting, match=re.escape(message)):
        MongoLoadOperator(**{**PLAIN, "document": parameter_and_result, **options})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"timezone": "Berlin"}, "Date.timezone is 'Berlin': expected the name of a time zone"),
        ({"timezone": "../etc/passwd"}, "Date.timezone"),
        ({"timezone": 1}, "Date.timezone"),
        ({"format": "DD.MM.YYYY"}, "Date.format is 'DD.MM.YYYY': expected a format with day, month and year"),
        ({"format": "%d.%m."}, "Date.format"),
        ({"format": "%Q"}, "Date.format"),
        ({"format": 7}, "Date.format is 7"),
        ({"format": "%d.%m.%Y %H:%M"}, "Date.timezone is None: expected the zone of the times"),
        ({"epoch": "us"}, "Date.epoch is 'us'"),
        ({"epoch": "s", "format": "%Y-%m-%d"}, "either `format` or `epoch`"),
    ],
)
def test_a_date_that_can_not_be_read_is_an_import_error(fields: dict[str, Any], message: str) -> None:
    """A zone that doesn't exist, or a format that loses the day, is found before the first value."""
    with pytest.raises(BadSetting, match=re.escape(message)):
        Date(**fields)
