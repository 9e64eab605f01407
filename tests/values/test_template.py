from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.api.template import Template, Tree, check_fields, escaped
from airflow_fanout.codec import Json

VALUES = st.text(st.characters(exclude_categories=["Cs"]))
LITERALS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\\"))


@given(st.lists(st.tuples(LITERALS, VALUES), max_size=5), LITERALS)
def test_each_field_is_replaced_and_nothing_else(pieces: list[tuple[str, str]], last: str) -> None:
    """Literals stay, fields become their values in order; braces in a value are no fields."""
    text = "".join(f"{literal}{{{place}}}" for place, (literal, _) in enumerate(pieces)) + last
    values = {str(place): value for place, (_, value) in enumerate(pieces)}
    template = Template(text)
    assert template.fields == tuple(values)
    assert template.filler()(values) == "".join(literal + value for literal, value in pieces) + last


@given(VALUES)
def test_a_quoted_value_can_be_read_back(value: str) -> None:
    """A value quoted for an address adds no slash, question mark or field to it, and unquotes to itself."""
    filled = Template("/calls/{tel}/day").filler(lambda text: quote(text, safe=""))({"tel": value})
    _, calls, middle, day = filled.split("/")
    assert (calls, unquote(middle), day) == ("calls", value, "day")


@given(st.text("{}\\a ").map(lambda text: text.replace("a", "{name}")))
def test_a_text_with_escaped_braces_is_sent_as_it_is(text: str) -> None:
    """Whatever the backslashes and braces in it, and also after Airflow has rendered it."""
    assert Template(escaped(text)).parts == (text,)
    assert jinja2.Template(escaped(text)).render() == escaped(text)


def test_a_brace_right_before_a_field_is_written_by_a_template() -> None:
    """Airflow would take both together for the beginning of one."""
    rendered = jinja2.Template(r"{{ '\\{' }}{tel}\}").render()
    assert Template(rendered).filler()({"tel": "7"}) == "{7}"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        (r'\{"tel": "{tel}"\}', '{"tel": "7"}'),
        (r"\{tel\}{tel}", "{tel}7"),
        (r"C:\calls\\{tel}.txt", r"C:\calls\7.txt"),
        (r"\\server\share", r"\\server\share"),
        (r"\\\{tel\}", r"\{tel}"),
        (r"\{", "{"),
    ],
)
def test_a_backslash_makes_a_brace_one_of_the_texts_own(text: str, filled: str) -> None:
    """It means something before a brace only; two of them there are one, before a field."""
    values = {"tel": "7"}
    assert Template(text).filler()(values) == filled
    assert Tree(text).fill(values) == filled
    assert Tree({"a": [text]}).fill(values) == {"a": [filled]}


@pytest.mark.parametrize(
    "text",
    [
        r"\{tel}",
        r"{tel\}",
        r"\\{",
        "{",
        "}",
        "{}",
        "{tel",
        "tel}",
        "{{tel}}",
        "{tel.name}",
        "{tel[0]}",
        "{tel!r}",
        "{a b}",
        "{1a}",
        "{a}{",
        "{a}}{b}",
        "{a}x{b}{",
    ],
)
def test_other_braces_are_refused(text: str) -> None:
    """A brace that is part of no field is a slip, never a literal; attributes and items of values are out of reach."""
    with pytest.raises(BadTemplate) as caught:
        Template(text)
    assert repr(text) in str(caught.value)


def test_a_template_is_shown_as_it_was_written() -> None:
    """What it was cut into is nobody's business."""
    assert repr(Template("/calls/{tel}")) == "Template(text='/calls/{tel}')"


def test_every_python_identifier_is_a_field() -> None:
    """A name that `names` takes can be used as a field, beyond ASCII, too."""
    assert Template("{état}/{_a1}").filler()({"état": "x", "_a1": "y"}) == "x/y"


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "null"), (1.0, "1.0"), (7, "7"), (["a"], '["a"]'), ("ü", "ü")], ids=repr
)
def test_values_are_written_as_json_has_them(value: Any, text: str) -> None:
    """A value that isn't a text stands in one as JSON would write it."""
    assert Template("x={v}").filler()({"v": value}) == f"x={text}"


@pytest.mark.parametrize("value", [7, 1.5, True, None, ["a", {"b": 1}], {"c": 2}, "text"], ids=repr)
def test_a_string_that_is_one_field_keeps_the_type(value: Any) -> None:
    """`"{v}"` in a body is the value itself; with anything around it, it is text."""
    filled = Tree({"as_is": "{v}", "in": ["{v}", ("{v}",)], "text": "v: {v}"}).fill({"v": value})
    assert filled["as_is"] == value
    assert type(filled["as_is"]) is type(value)
    assert filled["in"] == [value, [value]]
    assert isinstance(filled["text"], str)


@pytest.mark.parametrize(
    ("text", "filled"),
    [("{id}", 7), ("{id} ", "7 "), (" {id}", " 7"), ("{id}.", "7."), ("{id}{id}", "77"), ("n{id}", "n7")],
)
def test_a_field_with_text_beside_it_makes_a_text(text: str, filled: Json) -> None:
    """Only a string that is nothing but one field keeps the type, also in a body; before or after it, text is text."""
    assert Tree({"body": [text]}).fill({"id": 7}) == {"body": [filled]}


def test_what_is_no_string_stays() -> None:
    """Numbers, flags and nulls of a body are nobody's template, and the names of its fields are not either."""
    assert Tree({"{v}": 1, "flag": True, "none": None}).fill({"v": 2}) == {"{v}": 1, "flag": True, "none": None}


def test_a_tree_knows_all_its_fields() -> None:
    """The fields of all strings are found at every level, in order."""
    assert Tree({"a": "{x}", "b": [{"c": "{y}-{z}"}], "d": 7}).fields == ("x", "y", "z")


def test_an_unknown_field_is_named_with_a_suggestion() -> None:
    """A slip in a field's name is told with where it is, what there is, and what was probably meant."""
    with pytest.raises(UnknownField) as caught:
        check_fields("endpoint", ("day", "tle"), ("tel", "day"))
    error = caught.value
    assert (error.where, error.field, error.known) == ("endpoint", "tle", ("tel", "day"))
    assert "Did you mean {tel}?" in str(error)


def test_known_fields_pass() -> None:
    """Any of the known fields may be used, repeatedly or not at all."""
    check_fields("endpoint", ("tel", "tel"), ("tel", "day"))
    check_fields("endpoint", (), ())
