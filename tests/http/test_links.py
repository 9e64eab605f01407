from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.api.links import Link, parse

NEXT = ("next",)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("", []),
        ("</2>; rel=next", [Link("/2", NEXT, None)]),
        ('</2>; rel="next"', [Link("/2", NEXT, None)]),
        ('</2> ;\trel = "next" ', [Link("/2", NEXT, None)]),
        # 3.3: relation types are compared without regard to case, as are the names of parameters.
        ('</2>; Rel="next"', [Link("/2", NEXT, None)]),
        ("</2>; REL=NEXT", [Link("/2", NEXT, None)]),
        # 3.3: several types are separated by spaces.
        ('</2>; rel="next last"', [Link("/2", ("next", "last"), None)]),
        ('</2>; rel="last   NEXT"', [Link("/2", ("last", "next"), None)]),
        ('</2>; rel="http://example.com/next"', [Link("/2", ("http://example.com/next",), None)]),
        # 3.3: the first "rel" counts; 2.2 and 3.4.2: "rel*" is no "rel".
        ("</2>; rel=next; rel=last", [Link("/2", NEXT, None)]),
        ("</2>; rel*=UTF-8''next", [Link("/2", (), None)]),
        ("</2>; rel*=UTF-8''last; rel=next", [Link("/2", NEXT, None)]),
        # 3.2
        ('</2>; rel=next; anchor="#foo"', [Link("/2", NEXT, "#foo")]),
        ('</2>; rel=next; anchor=""', [Link("/2", NEXT, "")]),
        # What separates links and parameters may stand in an address, and in quotes.
        ("</2?a=1;b=2,3>; rel=next", [Link("/2?a=1;b=2,3", NEXT, None)]),
        ('</2>; title="a, b; rel=last"; rel=next', [Link("/2", NEXT, None)]),
        (r'</2>; title="say \"hi\"; rel=last"; rel=next', [Link("/2", NEXT, None)]),
        (r'</2>; rel="ne\xt"', [Link("/2", NEXT, None)]),
        (r'</2>; rel="next\\"', [Link("/2", ("next\\",), None)]),
        # Several links, in one line or in several that were joined; empty elements of a list (RFC 9110, 5.6.1).
        ("</1>; rel=prev, </3>; rel=next", [Link("/1", ("prev",), None), Link("/3", NEXT, None)]),
        (",, </1>;rel=prev , ,</3>;rel=next,", [Link("/1", ("prev",), None), Link("/3", NEXT, None)]),
        # Parameters without a value, or without a name.
        ("</2>; crossorigin; rel=next", [Link("/2", NEXT, None)]),
        ("</2>;; rel=next;", [Link("/2", NEXT, None)]),
        ("</2>; rel", [Link("/2", (), None)]),
        ("</2>", [Link("/2", (), None)]),
        ("<>; rel=next", [Link("", NEXT, None)]),
        ('</2>; rel="next', [Link("/2", NEXT, None)]),
    ],
)
def test_links_are_read_as_rfc_8288_has_them(text: str, links: list[Link]) -> None:
    """Whatever its appendix B can read is read, and as it says."""
    assert parse(text) == (links, "")


@pytest.mark.parametrize(
    ("text", "links", "rest"),
    [
        ("/2; rel=next", 0, "/2; rel=next"),
        ("</2; rel=next", 0, "</2; rel=next"),
        ("</1>; rel=prev, /3; rel=next", 1, "/3; rel=next"),
        ('</1>; rel="prev"x, </3>; rel=next', 1, "x, </3>; rel=next"),
        ("</1> rel=prev, </3>; rel=next", 1, "rel=prev, </3>; rel=next"),
    ],
)
def test_what_cannot_be_read_of_a_link_header_is_told(text: str, links: int, rest: str) -> None:
    """The algorithm stops there; whoever needs a link knows that one may have been lost."""
    found, left = parse(text)
    assert (len(found), left) == (links, rest)


@given(st.text(alphabet='<>;,"\\= \trel*nextanchor/', max_size=60))
def test_any_text_is_read_to_an_end(text: str) -> None:
    """No text makes the parser fail or go on for ever, and what is left over was there."""
    _, rest = parse(text)
    assert text.endswith(rest)
