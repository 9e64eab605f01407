"""Bodies that are JSON Lines, CSV or XML, or that a function reads: what they are as JSON, and what is wrong."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
import pytest

from airflow_fanout.api.answers import Csv, Xml
from airflow_fanout.api.request import Request
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import MIB

LAUGHS = b"""<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>"""
FILE = b"""<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"""
SKIPPED = b"""<!DOCTYPE a SYSTEM "http://example.com/a.dtd">\n<a>&b;</a>"""


def read(parse: Any, body: bytes, content_type: str = "text/plain", **fields: Any) -> Outcome:
    """Return the outcome of an answer."""
    reader = reader_of(Request(endpoint="/", parse=parse, **fields), MIB, NO_SECRETS)
    return reader.outcome(200, "OK", body, {"Content-Type": content_type})


@pytest.mark.parametrize(
    ("parse", "body", "value"),
    [
        ("jsonl", b'{"a": 1}\n\n{"a": "\xe2\x80\xa8"}\r\n', [{"a": 1}, {"a": "\u2028"}]),
        ("jsonl", b"", []),
        ("csv", b"tel,name\r\n1,Ada\r\n2,\r\n", [{"tel": "1", "name": "Ada"}, {"tel": "2", "name": ""}]),
        ("csv", b"\xef\xbb\xbftel\n1\n\n2", [{"tel": "1"}, {"tel": "2"}]),
        ("csv", b"tel,name\n", []),
        ("csv", b'a,b\n"1,2","say ""hi""\nthere"', [{"a": "1,2", "b": 'say "hi"\nthere'}]),
        (Csv(delimiter=";", quote="'"), b"a;b\n'1;2';x", [{"a": "1;2", "b": "x"}]),
        (Csv(delimiter="\t", quote=None), b'a\tb\n"1\t2', [{"a": '"1', "b": "2"}]),
        (Csv(columns=("tel", "day")), b"1,mon\n2,tue", [{"tel": "1", "day": "mon"}, {"tel": "2", "day": "tue"}]),
        (Csv(columns=("tel",)), b"", []),
        ("xml", b"<a/>", {"a": None}),
        ("xml", b"<?xml version='1.0'?><a> x &amp; &#65; <![CDATA[<b>]]></a>", {"a": " x & A <b>"}),
        (
            "xml",
            b'<user id="7">\n  <name lang="en">Ada</name><call>1</call>\n  <call/>and\n</user>',
            {"user": {"@id": "7", "name": {"@lang": "en", "#text": "Ada"}, "call": ["1", None], "#text": "and"}},
        ),
        (Xml(lists=("call",)), b"<user><call>1</call></user>", {"user": {"call": ["1"]}}),
        ("xml", b'<s:a xmlns:s="urn:s"><s:b>1</s:b></s:a>', {"s:a": {"@xmlns:s": "urn:s", "s:b": "1"}}),
        ("xml", b"<!DOCTYPE a><a>1</a>", {"a": "1"}),
        (lambda body: {"size": len(body)}, b"\0\1\2", {"size": 3}),
    ],
)
def test_what_a_body_is_as_json(parse: Any, body: bytes, value: Any) -> None:
    """The same when it is a file of gzip."""
    assert read(parse, body) == Outcome(Kind.OK, value, 200)
    if body:
        assert read(parse, gzip.compress(body)) == Outcome(Kind.OK, value, 200)


@pytest.mark.parametrize("parse", ["csv", "xml", "jsonl"])
@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-8", "cp1252"])
def test_the_charset_is_the_answers(parse: str, charset: str) -> None:
    """A body is read in the charset that its Content-Type names, or that its byte order mark shows."""
    text = {"csv": "a\né", "xml": "<a>é</a>", "jsonl": '{"a": "é"}'}[parse]
    outcome = read(parse, text.encode(charset), f"text/x; charset={charset}")
    assert "é" in str(outcome.result)


def test_an_xml_document_may_say_its_own_encoding() -> None:
    """Unless the Content-Type says another one (RFC 7303, 3.2)."""
    body = "<?xml version='1.0' encoding='shift_jis'?><a>日本</a>"
    assert read("xml", body.encode("shift_jis")).result == {"a": "日本"}
    assert read("xml", body.encode(), "application/xml; charset=UTF-16le").kind is Kind.INVALID
    assert read("xml", body.encode("utf-16"), "application/xml").result == {"a": "日本"}


@pytest.mark.parametrize(
    ("parse", "body", "says"),
    [
        ("jsonl", b'{"a": 1}\n{"a": ', "line 2 isn't JSON"),
        ("csv", b"", "it is empty: there is no header row"),
        ("csv", b"a,b\n1,2\n3", "line 3 has 1 values, and the header (line 1) has 2"),
        ("csv", b'a,b\n"1\n2",3\n4,5,6', "line 4 has 3 values"),
        ("csv", b'a,b\n1,"2', "line 2 isn't CSV: unexpected end of data"),
        ("csv", b'a,b\n1,"2"x', "line 2 isn't CSV"),
        ("csv", b"a,a\n1,2", "has the same name for columns 1 and 2"),
        ("csv", b"a,\n1,2", "has no name for column 2"),
        (Csv(columns=("a",)), b"1,2", "line 1 has 2 values, and the request's `columns` have 1"),
        ("csv", "a\né".encode("latin-1"), "it isn't written in its charset 'utf-8'"),
        ("xml", b"<a>\n<b></a>", "line 2 isn't XML: mismatched tag"),
        ("xml", b"<a>", "isn't XML: no element found"),
        ("xml", b"", "isn't XML: no element found"),
        ("xml", b"<a>&b;</a>", "isn't XML: undefined entity"),
        ("xml", LAUGHS, "has an entity of the document's own"),
        ("xml", FILE, "has an entity of the document's own"),
        ("xml", SKIPPED, "line 2 has an entity of the document's own"),
        ("xml", b"<a>" * 100_000, "it is nested too deeply"),
        ("csv", gzip.compress(b"a\n1\n2\n", mtime=0)[:-9], "it begins like a file of gzip"),
    ],
)
def test_a_body_that_is_broken_is_invalid(parse: Any, body: bytes, says: str) -> None:
    """With the line; and requested once more, since a torn body looks like that. Nothing of the body is shown."""
    outcome = read(parse, body)
    assert (outcome.kind, outcome.garbled) == (Kind.INVALID, True)
    assert outcome.failure is not None
    assert says in outcome.failure.message


@pytest.mark.parametrize("parse", ["json", "csv", "xml", "jsonl", len])
def test_a_file_that_becomes_too_large_is_invalid(parse: Any) -> None:
    """The limit is about what it is once it is decompressed; the rest of it isn't."""
    outcome = read(parse, gzip.compress(b" " * (MIB + 1)))
    assert (outcome.kind, outcome.garbled) == (Kind.INVALID, False)
    assert outcome.failure is not None
    assert "larger than 1,048,576 bytes (max_body_bytes) once it is decompressed" in outcome.failure.message


def test_the_result_and_the_conditions_are_paths_into_the_value() -> None:
    """Whatever form it has come in."""
    body = b"<answer><error>busy</error><user><name>Ada</name></user></answer>"
    assert read("xml", body, result="answer.user.name").result == "Ada"
    assert read("xml", body, result="answer.user.name", failed_if="answer.error").kind is Kind.API_ERROR
    assert read("csv", b"a\n1\n2", result="1.a").result == "2"
    assert read("csv", b"a\n", empty_is_null=True).kind is Kind.NULL
    assert read(lambda _: None, b"x").kind is Kind.NULL


@pytest.mark.parametrize(
    ("function", "says"),
    [(lambda body: {body}, "isn't JSON: result is of type set"), (lambda body: 1 / 0, "division")],  # noqa: ARG005
)
def test_a_function_that_fails_is_an_error(function: Any, says: str) -> None:
    """With what is wrong, and where."""
    outcome = read(function, b"x")
    assert (outcome.kind, outcome.garbled) == (Kind.ERROR, False)
    assert outcome.failure is not None
    assert says in outcome.failure.message


@pytest.mark.parametrize("parse", ["csv", Csv(delimiter=";", columns=("a",)), Xml(lists=("call",))])
def test_a_form_travels_as_json(parse: Any) -> None:
    """To the engine, and through a rendered request."""
    request = Request(endpoint="/", parse=parse)
    there = msgspec.json.decode(msgspec.json.encode(request), type=Request)
    rendered = Request(**msgspec.json.decode(msgspec.json.encode(request.template())))
    assert type(there.parse) is type(rendered.parse) is type(parse)
    assert repr(there.template()) == repr(rendered.template())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Request(endpoint="/", parse="yaml"), "parse is 'yaml': expected 'json', 'jsonl', 'csv', 'xml', Csv"),
        (lambda: Request(endpoint="/", parse=5), "parse is 5"),
        (lambda: Csv(delimiter=";;"), "Csv(delimiter) is ';;': expected one character"),
        (lambda: Csv(quote=","), "another character than the delimiter"),
        (lambda: Csv(columns="tel"), "Csv(columns) is 'tel'"),
        (lambda: Csv(columns=("a", "a")), "expected different names"),
        (lambda: Xml(lists=("",)), "Xml(lists) is ('',)"),
    ],
)
def test_a_wrong_form_is_known_when_it_is_written(make: Any, says: str) -> None:
    """Each names what was written and what is expected."""
    with pytest.raises(BadSetting) as caught:
        make()
    assert says in str(caught.value)
