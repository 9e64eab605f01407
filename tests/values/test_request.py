from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_fanout import codec
from airflow_fanout.api.compiled import Compiled, Prepared
from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.api.page import Header
from airflow_fanout.api.paging import Cursor, NextLink, Offset, PageNumber
from airflow_fanout.api.request import METHODS, Request
from airflow_fanout.api.result import ResultPath
from airflow_fanout.errors import BadSetting

VALUES = st.text(st.characters(exclude_categories=["Cs"]))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def message(request: Request, value: Any) -> Prepared:
    """Return what is sent for one parameter whose fields are all known."""
    known = tuple(value) if isinstance(value, dict) else ("0", "1")
    return Compiled(request, known).message(value)


@given(TEXTS, TEXTS)
def test_values_arrive_as_they_are(tel: str, day: str) -> None:
    """Whatever is in a value, the server reads it back: as one segment of the path, as one value of the query."""
    assume(tel not in (".", ".."))
    sent = message(Request(endpoint="/calls/{tel}", query={"day": "{day}"}), {"tel": tel, "day": day})
    parts = urlsplit(f"http://api.example{sent.target}")
    assert [unquote(segment) for segment in parts.path.split("/")] == ["", "calls", tel]
    assert parse_qsl(parts.query, keep_blank_values=True) == [("day", day)]


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_cannot_lead_to_another_resource(value: str) -> None:
    """An empty segment or dots would ask for something else; such a parameter isn't sent."""
    with pytest.raises(ValueError, match="another resource"):
        message(Request(endpoint="/calls/{tel}"), {"tel": value})


def test_the_query_is_written_as_apis_read_it() -> None:
    """A list gives its name several times, null leaves it out, flags and numbers are written as in JSON."""
    query = {
        "flag": True,
        "many": ["a", None, 2],
        "gone": None,
        "field": "{absent}",
        "off": False,
        "n": 1.5,
        "day": "{day}",
    }
    sent = message(Request(endpoint="/calls", query=query), {"day": "a b&c", "absent": None})
    assert sent.target == "/calls?flag=true&many=a&many=2&off=false&n=1.5&day=a+b%26c"


@pytest.mark.parametrize(
    ("endpoint", "query", "target"),
    [
        ("/calls?v=2", {"day": "x"}, "/calls?v=2&day=x"),
        ("/calls?v=2", {}, "/calls?v=2"),
        ("/calls", {"day": None}, "/calls"),
        ("/go?to=http://api.example", {}, "/go?to=http://api.example"),
    ],
)
def test_an_endpoint_may_have_a_query_of_its_own(endpoint: str, query: dict[str, Any], target: str) -> None:
    """The query is added to the one that the endpoint has, and leaves no sign where there is none."""
    assert message(Request(endpoint=endpoint, query=query), {"tel": "x"}).target == target


def test_values_without_names_are_counted() -> None:
    """A tuple's values are {0} and {1}; a single value is {0}."""
    assert message(Request(endpoint="/log/{0}/{1}"), ["a", "b"]).target == "/log/a/b"
    assert message(Request(endpoint="/log/{0}"), 7).target == "/log/7"


def test_a_body_is_json_with_the_parameters_types() -> None:
    """A string that is one field keeps the type of the value, and the content type is said."""
    sent = message(Request(endpoint="/q", method="POST", json={"id": "{id}", "t": "no {id}"}), {"id": 7})
    assert codec.decode(sent.body or b"") == {"id": 7, "t": "no 7"}
    assert sent.headers == {"Content-Type": "application/json"}


def test_a_form_is_written_as_a_query_is() -> None:
    """A list gives its name several times, null leaves it out, and the content type is said."""
    form = {"tel": "{tel}", "many": ["a b", None, "{n}"], "gone": None, "flag": True}
    sent = message(Request(endpoint="/q", method="POST", form=form), {"tel": "+1&2", "n": 7})
    assert sent.body == b"tel=%2B1%262&many=a+b&many=7&flag=true"
    assert sent.headers == {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("other", [{"method": "GET"}, {"method": "POST", "json": {"a": 1}}], ids=["GET", "json"])
def test_a_form_needs_a_body_of_its_own(other: dict[str, Any]) -> None:
    """A form in a GET is a query, and beside a JSON body there is no room for it."""
    with pytest.raises(BadSetting, match="form"):
        Request(endpoint="/q", form={"tel": "{tel}"}, **other)


@given(VALUES)
def test_a_value_is_encoded_as_browsers_do_it(value: str) -> None:
    """Fields of the path and of the query are encoded as the standard library does it, whatever is in them."""
    sent = message(Request(endpoint="/calls/{tel}", query={"day": "{tel}"}), {"tel": f"x{value}"})
    assert sent.target == f"/calls/x{quote(value, safe='')}?day=x{quote_plus(value)}"


def test_the_authors_content_type_stays() -> None:
    """A content type that the report says is not replaced."""
    request = Request(endpoint="/q", method="POST", headers={"Content-Type": "application/ld+json"}, json={})
    assert message(request, {"id": 7}).headers == {"Content-Type": "application/ld+json"}


def test_no_body_without_json() -> None:
    """A request without `json` has no body and no content type."""
    assert message(Request(endpoint="/q"), {"id": 7}) == Prepared("GET", "/q", {}, None)


def test_headers_are_filled_as_text() -> None:
    """A header's field is written as in JSON; one whose value is null is left out."""
    request = Request(endpoint="/q", headers={"X-Id": "{id}", "X-Flag": "{flag}", "X-None": "{none}"})
    sent = message(request, {"id": 7, "flag": True, "none": None})
    assert sent.headers == {"X-Id": "7", "X-Flag": "true"}


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\0b"])
def test_a_value_cannot_add_a_header(value: str) -> None:
    """A line break in a header's value is refused for the parameter, and for the report when it is the author's."""
    with pytest.raises(ValueError, match="X-Tel"):
        message(Request(endpoint="/q", headers={"X-Tel": "{tel}"}), {"tel": value})
    with pytest.raises(BadSetting):
        Request(endpoint="/q", headers={"X-Tel": value})


@pytest.mark.parametrize(
    "request_",
    [
        Request(endpoint="/{tle}"),
        Request(endpoint="/", query={"a": ["{tle}"]}),
        Request(endpoint="/", headers={"A": "{tle}"}),
        Request(endpoint="/", json={"a": {"b": "{tle}"}}),
    ],
    ids=["endpoint", "query", "headers", "json"],
)
def test_an_unknown_field_is_found_before_anything_is_sent(request_: Request) -> None:
    """A field that the parameters don't have is refused when the request is compiled, with the part that uses it."""
    with pytest.raises(UnknownField) as caught:
        Compiled(request_, ("tel",))
    assert caught.value.field == "tle"
    assert caught.value.where in ("endpoint", "query", "headers", "json")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"method": "get"}, "method"),
        ({"endpoint": "https://api.example/calls"}, "endpoint"),
        ({"headers": {"X": 7}}, "headers['X']"),
        ({"null_statuses": 404}, "null_statuses"),
        ({"null_statuses": ("404",)}, "null_statuses"),
        ({"null_statuses": "404"}, "null_statuses"),
    ],
    ids=repr,
)
def test_what_cannot_work_is_refused_where_it_is_written(wrong: dict[str, Any], field: str) -> None:
    """A setting of the wrong kind is refused when the DAG file is read, by its name."""
    with pytest.raises(BadSetting) as caught:
        Request(**{"endpoint": "/calls", **wrong})
    assert caught.value.field == field


@pytest.mark.parametrize("method", METHODS)
def test_only_idempotent_methods_are_repeated_unasked(method: str) -> None:
    """By RFC 9110 POST and PATCH may do something twice; the author's word overrules the method."""
    assert Request(endpoint="/q", method=method).is_repeatable is (method not in ("POST", "PATCH"))
    assert Request(endpoint="/q", method=method, repeatable=True).is_repeatable
    assert not Request(endpoint="/q", method=method, repeatable=False).is_repeatable


def test_a_request_travels_as_json() -> None:
    """What the engine reads from its pipe is the request that was written there."""
    request = Request(
        endpoint="/calls/{tel}",
        method="POST",
        query={"many": ["a", "b"]},
        headers={"X": "{tel}"},
        json={"deep": [{"tel": "{tel}"}]},
        result="data.calls",
        empty_is_null=True,
        null_statuses=(404, 410),
        repeatable=True,
    )
    there = codec.decoder(Request)(codec.encode(request))
    assert there.template() == request.template()
    assert message(there, {"tel": "x"}) == message(request, {"tel": "x"})


def test_a_result_under_a_name_with_a_dot_travels_as_json() -> None:
    """Its path is a tuple where it is written, and a list on its way; both lead to the same place."""
    request = Request(endpoint="/", result=("data.v1", "rows"))
    there = codec.decoder(Request)(codec.encode(request))
    answer = {"data.v1": {"rows": [1]}}
    assert ResultPath(there.result).of(answer) == ResultPath(request.result).of(answer) == [1]


@pytest.mark.parametrize("result", ["a..b", ["a", ""], ("a", 1), {"a": 1}, 3])
def test_a_result_that_is_no_path_is_refused(result: Any) -> None:
    """While the DAG file is parsed."""
    with pytest.raises(BadSetting, match="result is"):
        Request(endpoint="/", result=result)


@pytest.mark.parametrize(
    "pages",
    [
        Cursor(name="after", field=("paging.v1", "next"), end=(0, False), end_empty=True),
        Cursor(field="next", in_body=["page", "after.v1"]),
        NextLink(field=Header("X-Next"), optional=True),
        PageNumber(end_statuses=range(404, 411)),
        Offset(start=1, end_null=True),
    ],
)
def test_pages_travel_as_json(pages: Any) -> None:
    """To the engine, and through a rendered request, which is plain JSON: what comes back reads pages alike."""
    request = Request(endpoint="/", method="POST", json={}, pages=pages, total=Header("X-Total"), result="rows")
    # As the pipe's messages are written: statuses may be a range.
    there = codec.decoder(Request)(msgspec.json.encode(request, enc_hook=list))
    rendered = Request(**codec.decode(codec.encode(request.template())))
    texts = {codec.encode(each.template()) for each in (request, there, rendered)}
    assert len(texts) == 1
    assert type(there.pages) is type(rendered.pages) is type(pages)
    assert there.total == rendered.total == Header("X-Total")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pages": "cursor"}, r"pages is 'cursor': expected NextLink\(…\), PageNumber\(…\), Offset\(…\) or Cursor"),
        ({"total": "count"}, "total is 'count': expected nothing without `pages`"),
        ({"pages": Cursor(), "query": {"cursor": "{id}"}}, "query is .*no 'cursor', because `pages` adds it"),
        ({"pages": PageNumber(), "endpoint": "/x?page=1"}, "query is .*no 'page', because `pages` adds it"),
        (
            {"pages": Cursor(in_body="a.b")},
            "Cursor.in_body is 'a.b': expected a path in the request's body",
        ),
        (
            {"pages": Cursor(in_body="a"), "method": "POST", "json": ["{id}"]},
            "in the request's body, which has to be an object",
        ),
        (
            {"pages": Cursor(in_body="a.b.c"), "method": "POST", "json": {"a": {"b": 1}}},
            "a path through objects: a.b of json isn't one",
        ),
        (
            {"pages": Cursor(in_body="a"), "method": "POST", "json": {}, "idempotency_header": "Key"},
            "none besides Cursor.in_body=….: all pages would have the same key",
        ),
        ({"pages": Cursor(), "null_statuses": (206,)}, "null_statuses is .*no status that a page has"),
        ({"pages": Cursor(), "total": 7}, "total is 7: expected a dotted path"),
        ({"pages": Cursor(), "max_pages": 0}, "max_pages is 0"),
        ({"pages": Cursor(), "max_empty_pages": True}, "max_empty_pages is True"),
    ],
)
def test_pages_that_cannot_be_read_are_refused(settings: dict[str, Any], message: str) -> None:
    """While the DAG file is parsed."""
    with pytest.raises(BadSetting, match=message):
        Request(**{"endpoint": "/", **settings})


def test_literal_braces_in_every_text_of_a_request() -> None:
    r"""`\{` and `\}` stand for braces in path, query, headers and bodies, with a field in the text and without."""
    texts = {r"\{{a}\}": "{7}", r"\{a\}": "{a}"}
    for text, filled in texts.items():
        request = Request(
            endpoint=f"/x/{text}", method="POST", query={"q": text}, headers={"X": text}, json={"j": [text]}
        )
        sent = message(request, {"a": "7"})
        assert sent.target == f"/x/{filled}?q={quote_plus(filled)}"
        assert (sent.headers["X"], sent.body) == (filled, codec.encode({"j": [filled]}))
        form = message(Request(endpoint="/x", method="POST", form={"f": text}), {"a": "7"})
        assert form.body == f"f={quote_plus(filled)}".encode()


def test_a_misread_field_says_how_braces_are_written() -> None:
    """A brace of the text's own is taken for a field's; both messages say how to write it."""
    with pytest.raises(UnknownField, match=r"If the text has braces of its own, write \\\{name\\\}"):
        Compiled(Request(endpoint="/", query={"q": "user{name}"}), ("tel",))
    with pytest.raises(BadTemplate, match="write a backslash before each of them"):
        Compiled(Request(endpoint="/", query={"q": "{ user }"}), ("tel",))
