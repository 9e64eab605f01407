"""A walk over pages without anybody who fetches them: answers in, requests out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_fanout.api.audit import Paged
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.page import Answer, End, NotPaged, Page, Step
from airflow_fanout.api.page_walk import PageWalk
from airflow_fanout.api.paging import Cursor, NextLink, Offset, PageNumber, Pages

if TYPE_CHECKING:
    from airflow_fanout.codec import Json

API = Endpoint(base_url="https://api.example.com")
FIRST = Step("/calls", {"day": "2026-11-22"})
PAGED = Paged(pages=None, items="items", total=None, max_pages=100, max_empty_pages=1)


def walk(**described: object) -> PageWalk:
    """Return a walk at its beginning."""
    return PageWalk(PAGED._replace(**described), FIRST, API)


def answered(answer: Json, status: int = 200, **headers: str) -> Answer:
    """Return an answer to the last request."""
    return Answer(status, "https://api.example.com/calls", headers, answer)


def walked(walk: PageWalk, *answers: Answer) -> tuple[list[Step], list[Page], End | None]:
    """Give a walk these answers; return its requests, its pages, and its end if it has come to it."""
    step: Step | End = walk.begin()
    steps, pages = [], []
    for answer in answers:
        assert isinstance(step, Step)
        steps.append(step)
        page = walk.take(answer)
        if isinstance(page, End):
            return steps, pages, page
        pages.append(page)
        step = walk.following(page)
    return ([*steps, step], pages, None) if isinstance(step, Step) else (steps, pages, step)


@pytest.mark.parametrize(
    ("pages", "answers", "second", "reason"),
    [
        (
            Cursor(),
            [{"items": [1], "cursor": "b"}, {"items": [2], "cursor": None}],
            Step("/calls", {"day": "2026-11-22", "cursor": "b"}),
            "the field 'cursor' of page 2 is null",
        ),
        (
            NextLink(field="next"),
            [{"items": [1], "next": "?after=b"}, {"items": [2]}],
            Step("https://api.example.com/calls?after=b", {}),
            "page 2 doesn't have the field 'next'",
        ),
        (
            Offset(start=1),
            [{"items": [1, 2]}, {"items": []}],
            Step("/calls", {"day": "2026-11-22", "offset": 3}),
            "page 2 has no items",
        ),
        (
            PageNumber(),
            [{"items": [1]}, {"items": []}],
            Step("/calls", {"day": "2026-11-22", "page": 2}),
            "page 2 has no items",
        ),
    ],
)
def test_each_answer_says_which_request_is_next(pages: Pages, answers: list[Json], second: Step, reason: str) -> None:
    """With the first request's query, or by a whole address; the end says why."""
    steps, taken, end = walked(one := walk(pages=pages), *map(answered, answers))
    assert steps[1] == second
    assert [page.items for page in taken] == [answer["items"] for answer in answers]
    assert end == End(reason)
    assert one.number == 2


def test_a_status_may_be_the_end() -> None:
    """From the second page on, whoever asks knows which statuses say that there is no such page."""
    one = walk(pages=PageNumber(end_statuses=(404,)))
    one.begin()
    assert 404 not in one.end_statuses
    one.following(one.take(answered({"items": [1]})))  # type: ignore[arg-type] # it is a page
    assert 404 in one.end_statuses
    assert one.take(answered(None, 404)) == End("page 2 is HTTP 404")
    # The last page that was read.
    assert one.number == 1


@pytest.mark.parametrize(
    ("described", "answers", "problem"),
    [
        ({"max_pages": 2}, [{"items": [1], "cursor": "b"}, {"items": [2], "cursor": "c"}], "max_pages=2"),
        ({}, [{"items": [1], "cursor": "b"}, {"items": [2], "cursor": "b"}], "it is page 2 again"),
        (
            {},
            [{"items": [], "cursor": "b"}, {"items": [], "cursor": "c"}],
            "pages 1 to 2 had no items, more than max_empty_pages=1 in a row",
        ),
        (
            {"total": "n"},
            [{"items": [1], "n": 2, "cursor": None}],
            "the list ended after 1 items, and the field 'n' says",
        ),
        ({}, [{"items": 7}], "the field 'items' is of type int, not an array"),
    ],
)
def test_a_walk_is_bounded(described: dict[str, object], answers: list[Json], problem: str) -> None:
    """Circles, pages without end, too few items and what is no page are errors, whoever has fetched them."""
    with pytest.raises(NotPaged, match=problem):
        walked(walk(pages=Cursor(), **described), *map(answered, answers))
