from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.mongo import removal
from airflow_fanout.mongo.write import Written
from tests.load.loads import AS_OF, load, numbered, state, stored

if TYPE_CHECKING:
    from pymongo.collection import Collection

DAY_BEFORE = AS_OF - timedelta(days=1)


def replace_run(collection: Collection[dict[str, Any]], given: Any, **options: Any) -> Written:
    """Load in the mode `replace_run`."""
    return load(collection, given, mode="replace_run", **options)


def test_what_the_run_does_not_have_is_removed(collection: Collection[dict[str, Any]]) -> None:
    """Of the date, exactly the run's documents are left; the day before stays."""
    load(collection, [{"tel": tel, "v": 1} for tel in "abc"], as_of=DAY_BEFORE)
    load(collection, [{"tel": tel, "v": 1} for tel in "abc"])
    assert replace_run(collection, [{"tel": tel, "v": 2} for tel in "cd"]) == Written(1, 1, removed=2)
    found = [(found.replace(tzinfo=AS_OF.tzinfo), tel, v) for found, tel, v in state(collection)]
    assert found == [(DAY_BEFORE, "a", 1), (DAY_BEFORE, "b", 1), (DAY_BEFORE, "c", 1), (AS_OF, "c", 2), (AS_OF, "d", 2)]


def test_an_empty_run_removes_all_of_its_date(collection: Collection[dict[str, Any]]) -> None:
    """No documents is an answer, too: none of the date are left."""
    load(collection, numbered(10, 1))
    load(collection, numbered(10, 1), as_of=DAY_BEFORE)
    assert replace_run(collection, []) == Written(0, 0, removed=10)
    assert collection.count_documents({}) == 10
    assert replace_run(collection, []) == Written(0, 0)


@pytest.mark.parametrize("old", [removal.PAGE - 1, removal.PAGE, removal.PAGE + 1, 2 * removal.PAGE, 3500])
@pytest.mark.parametrize("share", [1, 2, 1000])
def test_more_than_a_page(collection: Collection[dict[str, Any]], old: int, share: int) -> None:
    """Whatever the number, before and after and wherever a page ends, all others are removed and none of ours."""
    load(collection, numbered(old, 1))
    ours = [document for number, document in enumerate(numbered(old, 2)) if number % share == 0]
    assert replace_run(collection, ours) == Written(0, len(ours), removed=old - len(ours))
    assert [found["tel"] for found in stored(collection)] == [document["tel"] for document in ours]


def test_documents_of_others_without_the_key_are_removed(collection: Collection[dict[str, Any]]) -> None:
    """What has the date and no key isn't the run's."""
    collection.insert_one({"as_of": AS_OF, "foreign": True})
    assert replace_run(collection, [{"tel": "a"}]) == Written(1, 0, removed=1)


@pytest.mark.parametrize("keys", [[1, 2.0, 2**40], ["a", 1, True, AS_OF], [1.5, b"x", ""]], ids=repr)
def test_keys_of_all_kinds_are_known_again(collection: Collection[dict[str, Any]], keys: list[Any]) -> None:
    """What was just written is never taken for another's."""
    given = [{"tel": key} for key in keys]
    replace_run(collection, given)
    assert replace_run(collection, given) == Written(0, len(keys))


def test_keys_of_several_fields_and_kinds(collection: Collection[dict[str, Any]]) -> None:
    """Pages go by the whole key, in MongoDB's order of kinds."""
    kinds: list[Any] = ["a", 1, 2.5, True, AS_OF, b"x", ""]
    old = [{"kind": kind, "n": n if n % 2 else str(n)} for kind in kinds for n in range(500)]
    load(collection, old, key=("kind", "n"))
    ours = [document for number, document in enumerate(old) if number % 3]
    assert replace_run(collection, ours, key=("kind", "n")) == Written(0, len(ours), removed=len(old) - len(ours))
    assert replace_run(collection, ours, key=("kind", "n")) == Written(0, len(ours))
