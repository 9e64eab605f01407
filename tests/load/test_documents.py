from __future__ import annotations

import enum
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from traceback import format_exception
from typing import Any
from uuid import UUID

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.mongo import documents
from airflow_fanout.mongo.errors import BadDocument
from airflow_fanout.mongo.shape import DocumentOf, Shape, parameter_and_result
from airflow_fanout.mongo.spool import Stored
from airflow_fanout.mongo.storable import DEEPEST, LARGEST_BYTES

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
IN_BSON = datetime(2026, 11, 22)  # noqa: DTZ001 - as bson gives it back
TEL = {"tel": "+12025550100"}


def good(index: int, parameter: Json, result: Json = 1) -> Record:
    """Return the record of a good result."""
    return Record.of(index, parameter, Outcome(Kind.OK, result=result), 1, 1.0)


def shape(key: Sequence[str] = ("tel",), document: DocumentOf = parameter_and_result, **options: Any) -> Shape:
    """Return how documents are made."""
    return Shape(key=tuple(key), as_of=AS_OF, document=document, **options)


def encoded(records: list[Record], how: Shape) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Encode records; return filter and document of each, decoded."""
    with documents.encoded(records, how) as made:
        found = [(bson.decode(key.raw), bson.decode(document.raw)) for key, document in made.pairs()]
        assert len(found) == made.count
        assert all(made.holds(document) for _, document in found)
        return found


def refusal(document: object, *, key: Sequence[str] = ("tel",), parameter: Json = TEL) -> BadDocument:
    """Return the error that a function's document gets."""
    with pytest.raises(BadDocument) as caught:
        encoded([good(7, parameter)], shape(key, lambda _parameter, _result: document))  # type: ignore[arg-type, return-value] # also what is no document
    assert caught.value.index == 7
    assert "+1202" not in str(caught.value)
    return caught.value


def test_a_document_has_the_parameter_the_result_and_the_date() -> None:
    """Without a function of the report's, nothing of what was asked and answered is lost."""
    assert encoded([good(0, TEL, [1, None])], shape()) == [
        ({"as_of": IN_BSON, **TEL}, {**TEL, "result": [1, None], "as_of": IN_BSON})
    ]


def test_a_parameter_without_names_is_a_field_of_its_own() -> None:
    """A plain value is in the field `parameter`, which can be the key."""
    found = encoded([good(0, "+12025550100")], shape(("parameter",)))
    assert found == [
        ({"as_of": IN_BSON, "parameter": "+12025550100"}, {"parameter": "+12025550100", "result": 1, "as_of": IN_BSON})
    ]


def test_only_good_results_become_documents() -> None:
    """Kinds that a report allows besides ok are no documents."""
    bad = [Record.of(1, {"tel": "b"}, Outcome(kind), 1, 1.0) for kind in Kind if kind is not Kind.OK]
    assert len(encoded([good(0, TEL), *bad], shape())) == 1


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_function_makes_any_number_of_documents(number: int) -> None:
    """A list, a generator, a single dict or None: each is as many documents as it says."""
    documents = [{"tel": "x", "at": at} for at in range(number)]

    def generated(_parameter: Json, _result: Json) -> Iterator[dict[str, Any]]:
        yield from documents

    functions: list[DocumentOf] = [generated, lambda _parameter, _result: documents]
    if number == 0:
        functions.append(lambda _parameter, _result: None)
    if number == 1:
        functions.append(lambda _parameter, _result: documents[0])
    for function in functions:
        found = encoded([good(0, TEL)], shape(("tel", "at"), function))
        assert [key["at"] for key, _ in found] == list(range(number))


def test_a_function_gets_parameter_and_result() -> None:
    """The function is called once per result, with both."""
    asked = []

    def document(parameter: Json, result: Json) -> dict[str, Any]:
        asked.append((parameter, result))
        return {}

    encoded([good(0, {"tel": "a"}, {"n": 1}), good(1, {"tel": "b"}, [])], shape(document=document))
    assert asked == [({"tel": "a"}, {"n": 1}), ({"tel": "b"}, [])]


def test_a_key_field_comes_from_the_document_before_the_parameter() -> None:
    """What the document says is the key; what it leaves out, the parameter has."""
    found = encoded(
        [good(0, {"tel": "parameter", "day": "parameter"})], shape(("tel", "day"), lambda *_: {"tel": "document"})
    )
    assert [(key["tel"], key["day"]) for key, _ in found] == [("document", "parameter")]
    assert found[0][1]["day"] == "parameter"


def test_the_filter_begins_with_the_date() -> None:
    """The filter has the fields of the unique index, in the index's order."""
    [(key, _)] = encoded([good(0, {"b": 1, "a": 2})], shape(("b", "a"), as_of_field="day"))
    assert list(key) == ["day", "b", "a"]


def test_the_authors_own_dict_is_left_alone() -> None:
    """The date and the key are added to a copy."""
    own: dict[str, Any] = {"n": 1}
    encoded([good(0, TEL)], shape(document=lambda *_: own))
    assert own == {"n": 1}


@pytest.mark.parametrize("value", [None, "absent"])
def test_a_document_without_a_key_field_is_refused(value: str | None) -> None:
    """A key that is missing or null would make all such documents one; the message names what there is."""
    document = {"calls": 3} if value == "absent" else {"calls": 3, "tel": None}
    error = refusal(document, parameter={"day": "x"})
    assert "no key field 'tel'" in error.problem
    assert "calls" in error.problem


@pytest.mark.parametrize("value", [{"$ne": 1}, {"a": 1}, [1, 2], (1,), re.compile("."), bson.Regex(".")], ids=repr)
def test_a_key_is_no_query(value: object) -> None:
    """An object, a list or a pattern in a filter finds other documents than its own."""
    assert "key field 'tel'" in refusal({"tel": value}).problem


@pytest.mark.parametrize(
    "value", ["x", 7, 1.5, True, AS_OF, bson.ObjectId("0" * 24), b"x", bson.Decimal128("1")], ids=repr
)
def test_a_key_is_a_plain_value(value: object) -> None:
    """Texts, numbers, flags, dates and MongoDB's own ids are keys."""
    assert len(encoded([good(0, TEL)], shape(document=lambda *_: {"tel": value}))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "a"),
        (1, 1.0),
        (2**40, float(2**40)),
        (1, bson.Int64(1)),
        (-0.0, 0),
        (AS_OF, AS_OF.replace(microsecond=999)),
        (1, bson.Decimal128("1.00")),
        (0.5, bson.Decimal128("0.50")),
        (2**40, bson.Decimal128("1.099511627776E12")),
        (float("nan"), bson.Decimal128("NaN")),
        (bson.Decimal128("0.10"), bson.Decimal128("0.1")),
        (1e300, 1e300),
        (bson.Decimal128("1E+6000"), bson.Decimal128("10E+5999")),
    ],
    ids=repr,
)
def test_two_documents_with_one_key_are_refused(one: object, other: object) -> None:
    """The second would overwrite the first; what MongoDB holds for equal is equal here."""
    records = [good(0, "p", one), good(1, "+12025550101", other)]
    with pytest.raises(BadDocument, match=r"same tel") as caught:
        encoded(records, shape(document=lambda _, result: {"tel": result}))
    assert caught.value.index == 1
    assert "+1202" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", 1),
        (True, 1),
        (1.5, 1),
        (1.25, 1),
        (bson.Decimal128("0.3"), bson.Decimal128("0.3000000000000000000001")),
        ("a", "A"),
        (2**62, 2**62 + 1),
        (0.1, bson.Decimal128("0.1")),
        (2.0**63, 2**63 - 1),
        (2.0**63, 2.0**64),
    ],
    ids=repr,
)
def test_different_keys_are_different_documents(one: object, other: object) -> None:
    """What MongoDB tells apart makes two documents."""
    records = [good(0, "p", one), good(1, "q", other)]
    assert len(encoded(records, shape(document=lambda _, result: {"tel": result}))) == 2


@given(st.lists(st.integers(0, 30) | st.text("ab", max_size=2)))
def test_every_good_result_is_a_document_or_an_error(keys: list[int | str]) -> None:
    """With different keys there are as many documents as results, in order; with equal ones, none is lost."""
    records = [good(index, "p", key) for index, key in enumerate(keys)]
    how = shape(("k",), lambda _, result: {"k": result})
    if len(set(keys)) == len(keys):
        assert [key["k"] for key, _ in encoded(records, how)] == keys
    else:
        with pytest.raises(BadDocument):
            encoded(records, how)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"n": 2**63}, "'n'"),
        ({"day": date(2026, 11, 22)}, "'day'"),
        ({"set": {"+12025550100"}}, "'set'"),
        ({"deep": {"deeper": [{"+12025550100"}]}}, "'deep.deeper[0]' can't be stored: it is a set; use sorted(value)"),
        ({"text": "half \ud800"}, "'text'"),
        ({"nul\0": 1}, "NUL"),
        ({"in": {7: 1}}, "'in.7'"),
        ({7: 1}, "7"),
        ({"$set": 1}, "'$set'"),
        ({"_id": 1}, "`_id`"),
        ({"as_of": "2026-11-22"}, "as_of_field"),
        ({"as_of": None}, "as_of_field"),
        ({"as_of": AS_OF + timedelta(days=1)}, "as_of_field"),
        ({"as_of": AS_OF - timedelta(days=1)}, "as_of_field"),
    ],
    ids=repr,
)
def test_what_mongodb_does_not_take_is_refused_by_field(document: Any, told: str) -> None:
    """A value that BSON can't hold is told by the field it is in, and isn't shown."""
    assert told in refusal(document).problem


@pytest.mark.parametrize("document", [7, "text", [7], ["tel"], [{"a": 1}, None]], ids=repr)
def test_what_is_no_document_is_refused(document: object) -> None:
    """A function that returns something else is told that a document is a dict, or that it can't be gone through."""
    assert "dict" in refusal(document).problem or "not iterable" in refusal(document).problem


RESULT: Json = {"name": "Ada Lovelace", "pin": "0042", "short": "Li", "calls": [{"to": "+12025550199"}]}


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (KeyError("minutes"), "raised KeyError in document, test_documents.py:"),
        (KeyError("minutes"), "'minutes'"),
        (ValueError("no calls for +12025550100 in 2 lists"), "no calls for +… in 2 lists"),
        (ValueError("bad name: Ada Lovelace (Li), pin 0042"), "bad name: …"),
        (ValueError(RESULT), "raised ValueError"),
        (LookupError({"to": "+12025550199"}), "raised LookupError"),
        (ValueError("invalid literal for int() with base 10: '555-0100'"), "invalid literal for int() with base 10"),
    ],
    ids=str,
)
def test_an_exception_of_the_function_is_told(raised: Exception, told: str) -> None:
    """Type, file, line and words of the exception are in the message; what stands in parameter or result isn't."""

    def document(parameter: Json, _result: Json) -> dict[str, Any]:
        raise raised

    with pytest.raises(BadDocument) as caught:
        encoded([good(0, TEL, RESULT)], shape(document=document))
    message = str(caught.value)
    assert told in message
    assert not [word for word in ("2025550", "0100'", "0199", "Ada", "Lovelace", "Li)", "0042") if word in message]
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not re.search(r"5550|Lovelace", "".join(format_exception(caught.value)))


def test_the_place_of_an_exception_is_in_the_authors_file() -> None:
    """Where a library raises, the line that called it is named."""

    def document(_parameter: Json, result: Any) -> dict[str, Any]:
        return {"day": datetime.fromisoformat(result), "more": statistics.mean([])}

    problem = refusal_of(document, result="2026-11-22")
    line = document.__code__.co_firstlineno + 1
    assert f"raised StatisticsError in document, test_documents.py:{line}: mean requires" in problem


def refusal_of(document: DocumentOf, *, parameter: Json = TEL, result: Json = 1, **options: Any) -> str:
    """Return what a function's exception or document is told by."""
    with pytest.raises(BadDocument) as caught:
        encoded([good(0, parameter, result)], shape(document=document, **options))
    return caught.value.problem


def test_a_parameter_without_names_is_hinted_at() -> None:
    """Who takes a text for a dict is told what the function was given, and how it becomes a dict."""
    problem = refusal_of(lambda parameter, _result: {"tel": parameter["tel"]}, parameter="+12025550100", result=[1])  # type: ignore[call-overload, index] # the mistake
    assert "string indices must be integers" in problem
    assert 'its parameter is a str, its result a list; with names=("tel",) in ExtractOperator' in problem
    assert "names=" in refusal_of(lambda *_: {"x": 1}, parameter="+12025550100")
    assert "names=" not in refusal_of(lambda *_: {"x": 1}, parameter={"x": 1})


class Colour(enum.Enum):
    RED = "red-secret"


@dataclass
class Call:
    to: str = "secret"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (date(2026, 11, 22), "use datetime("),
        (datetime(2026, 11, 22, tzinfo=UTC).time(), ".isoformat()"),
        (timedelta(seconds=3), ".total_seconds()"),
        (Decimal("1.5"), "bson.Decimal128(value)"),
        (UUID(int=7), "str(value)"),
        (Colour.RED, ".value"),
        ({"secret"}, "sorted(value)"),
        (frozenset({1}), "sorted(value)"),
        (Path("secret"), "str(value)"),
        (1j, "no such number"),
        (2**64, "more than 64 bits"),
        (-(2**63) - 1, "more than 64 bits"),
        ("half \ud800", "surrogate"),
        (Call(), "dataclasses.asdict"),
        (len, "call it"),
        (object(), "make it a text"),
        (range(3), "make it a text"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["field", "list", "deep"])
def test_a_value_that_cannot_be_stored_gets_a_hint(value: object, hint: str, place: str) -> None:
    """The field is named to its depth, with the value's type and what to write instead; the value isn't shown."""
    document: dict[str, Any] = {"field": value}
    path = "field"
    if place == "list":
        document, path = {"good": 1, "list": [1, value]}, "list[1]"
    elif place == "deep":
        document, path = {"a": {"b": [{"c": value}]}}, "a.b[0].c"
    problem = refusal(document).problem
    assert f"its field {path!r} can't be stored: it is a {type(value).__name__}" in problem
    assert hint in problem
    assert "secret" not in problem


def test_a_field_whose_name_is_a_number_is_not_shown() -> None:
    """A dict by telephone number has personal data for names."""
    assert "1202" not in refusal({"+12025550199": {1}}).problem
    assert "1202" not in refusal({"in": {"12025550199": {1}}}).problem
    assert "1202" not in refusal({"12025550199": 1, "$x": 1}).problem
    assert "1202" not in refusal({"12025550199": 1}, key=("day",)).problem


def nested(levels: int) -> dict[str, Any]:
    """Return a document that is so many levels deep."""
    document: dict[str, Any] = {}
    for _ in range(levels - 1):
        document = {"a": document}
    return document


def listed(levels: int) -> list[Any]:
    """Return a list that is so many levels deep, without any object in it."""
    made: list[Any] = []
    for _ in range(levels - 1):
        made = [made]
    return made


def test_a_document_may_be_a_hundred_levels_deep() -> None:
    """MongoDB's limit is held before the first write, in objects and in lists."""
    assert len(encoded([good(0, TEL)], shape(document=lambda *_: nested(DEEPEST)))) == 1
    assert "levels deep" in refusal(nested(DEEPEST + 1)).problem
    assert "levels deep" in refusal({"list": [nested(DEEPEST - 1)]}).problem
    assert len(encoded([good(0, TEL)], shape(document=lambda *_: {"list": listed(DEEPEST - 1)}))) == 1
    assert "levels deep" in refusal({"list": listed(DEEPEST)}).problem


def test_a_value_that_holds_itself_is_refused() -> None:
    """A circle is too deep, and looking for its end ends."""
    circle: dict[str, Any] = {"tel": "x"}
    circle["self"] = circle
    assert "levels deep" in refusal(circle).problem


def sized(size: int) -> dict[str, Any]:
    """Return a document that has so many bytes with its date."""
    empty = len(bson.encode({"tel": "x", "text": "", "as_of": AS_OF}))
    return {"tel": "x", "text": "y" * (size - empty)}


def test_a_document_may_be_as_large_as_mongodb_takes() -> None:
    """One byte beyond the limit is refused, with both numbers."""
    assert len(encoded([good(0, TEL)], shape(document=lambda *_: sized(LARGEST_BYTES)))) == 1
    problem = refusal(sized(LARGEST_BYTES + 1)).problem
    assert f"{LARGEST_BYTES + 1:,}" in problem
    assert f"{LARGEST_BYTES:,}" in problem


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"key": ("_id",)}, "key"),
        ({"key": ("a.b",)}, "key"),
        ({"as_of_field": "_id"}, "as_of_field"),
        ({"as_of_field": "$d"}, "as_of_field"),
    ],
    ids=repr,
)
def test_fields_that_cannot_be_a_key_are_refused(wrong: dict[str, Any], field: str) -> None:
    """`_id` is MongoDB's own, and a name that it can't take is told before anything is made."""
    with pytest.raises(BadSetting) as caught:
        shape(**wrong)
    assert caught.value.field == field


def test_an_empty_spool_has_no_documents() -> None:
    """A report without results writes nothing."""
    assert encoded([], shape()) == []


def test_a_document_is_told_by_its_parameter_and_its_key() -> None:
    """Each document's origin is known, also where a parameter has several or none; the key is masked."""
    records = [good(index, {"tel": "x"}, index) for index in (5, 7, 300_000)]

    def document(_parameter: Json, result: Json) -> list[dict[str, Any]]:
        return [{"tel": f"+1202555010{at}", "n": result} for at in range(3)] if result != 7 else []

    with documents.encoded(records, shape(("tel", "n"), document)) as made:
        found = [made.origin(number) for number in range(made.count)]
    assert [origin.split(" (")[0] for origin in found] == ["parameter 5"] * 3 + ["parameter 300000"] * 3
    assert found[1] == "parameter 5 (tel: …01, n: …)"


def test_the_keys_are_read_without_the_documents() -> None:
    """As often as wanted they are those of the pairs, in order, and the fingerprint is the sum of their hashes."""
    with documents.encoded([good(index, {"tel": str(index)}) for index in range(3)], shape()) as made:
        keys = [key.raw for key, _ in made.pairs()]
        for _ in range(2):
            assert list(made.keys()) == keys
        assert made.fingerprint == sum(map(hash, keys))
        assert made.date == {"as_of": AS_OF}
        assert made.key == ("as_of", "tel")


def test_a_stored_document_is_never_empty() -> None:
    """The driver asks, and would decode the document to answer by itself."""
    assert Stored(bson.encode({}))


def test_the_innermost_line_of_the_authors_file_is_named() -> None:
    """Where one function of the report calls another one, the line is that of the one that called the library."""

    def mean_of(numbers: list[int]) -> float:
        return statistics.mean(numbers)

    def document(_parameter: Json, _result: Json) -> dict[str, Any]:
        return {"mean": mean_of([])}

    line = mean_of.__code__.co_firstlineno + 1
    assert f"raised StatisticsError in mean_of, test_documents.py:{line}: " in refusal_of(document)
