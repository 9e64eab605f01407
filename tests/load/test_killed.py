"""Loads that are killed, and loads at the same time: processes of their own."""

from __future__ import annotations

import json
import os
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.mongo.write import MODES
from tests.load.loads import AS_OF, begin, load, numbered, state, temporary

if TYPE_CHECKING:
    from subprocess import Popen

    from pymongo.collection import Collection

pytestmark = pytest.mark.slow
SEED = int(os.environ.get("FANOUT_SEED", "20261122"))
KILLS = int(os.environ.get("FANOUT_KILLS", "2"))
COUNT = 6000
DAY_BEFORE = AS_OF.replace(day=AS_OF.day - 1)
MODE = pytest.mark.parametrize("mode", sorted(MODES))


def begun(uri: str, collection: Collection[dict[str, Any]], **options: Any) -> Popen[str]:
    """Start a load in a process of its own; return it when it begins."""
    child = begin(uri, collection.name, **{"count": COUNT, "version": 2, **options})
    assert child.stdout
    assert child.stdout.readline() == "begun\n"
    return child


def told(child: Popen[str]) -> dict[str, int]:
    """Wait for the end of a load; return what it says to have written."""
    out, err = child.communicate(timeout=90)
    assert child.returncode == 0, err
    counts: dict[str, int] = json.loads(out)
    return counts


def before(mode: str) -> list[tuple[int, str, int]]:
    """Return what a load in this mode leaves of `prepare`'s documents: day, key and version."""
    days = [(DAY_BEFORE.day, f"{number:06d}", 1) for number in range(100)]
    others = [(AS_OF.day, f"{number:06d}", 1) for number in range(COUNT, COUNT + COUNT // 2)]
    return {"upsert": days + others, "replace_run": days, "swap": []}[mode]


def prepare(collection: Collection[dict[str, Any]]) -> None:
    """Have an older run of the date in the collection, half of whose keys the new one has, and the day before."""
    collection.drop()
    load(collection, numbered(COUNT, 1, first=COUNT // 2))
    load(collection, numbered(100, 1), as_of=DAY_BEFORE)


@MODE
def test_a_load_that_was_killed_and_run_again_leaves_the_same(
    mongo_uri: str, collection: Collection[dict[str, Any]], mode: str
) -> None:
    """SIGKILL at a random moment, then a whole run: exactly the run's documents, each once, and no leftovers."""
    chance = random.Random(f"{SEED} {mode}")
    prepare(collection)
    child = begun(mongo_uri, collection, mode=mode)
    whole_s = -time.monotonic()
    told(child)
    whole_s += time.monotonic()
    left = []
    for _ in range(KILLS):
        prepare(collection)
        child = begun(mongo_uri, collection, mode=mode)
        time.sleep(chance.uniform(0, 0.95 * whole_s))
        child.kill()
        child.communicate()
        names = temporary(collection)
        left.append((child.returncode, collection.count_documents({"v": 2}), len(names)))
        assert load(collection, numbered(COUNT, 2), mode=mode).confirmed == COUNT
        ours = [(AS_OF.day, f"{number:06d}", 2) for number in range(COUNT)]
        assert sorted((at.day, tel, v) for at, tel, v in state(collection)) == sorted(before(mode) + ours)
        assert temporary(collection) == []
    print(f"{mode}, seed {SEED}: (exit code, new documents, temporary collections) when killed: {left}")
    assert any(code for code, _, _ in left)


@pytest.mark.parametrize("mode", ["upsert", "replace_run"])
def test_loads_of_two_dates_do_not_disturb_each_other(
    mongo_uri: str, collection: Collection[dict[str, Any]], mode: str
) -> None:
    """Two processes, two dates, the same keys: each date has exactly its own."""
    for day in (21, 22):
        load(collection, numbered(100, 0, first=COUNT), as_of=AS_OF.replace(day=day))
    children = [
        begun(mongo_uri, collection, mode=mode, day=day, version=day, run=f"report {day} load") for day in (21, 22)
    ]
    removed = 100 if mode == "replace_run" else 0
    for child in children:
        assert told(child) == {"inserted": COUNT, "replaced": 0, "removed": removed, "kept": 0}
    found = {(at.day, tel, v) for at, tel, v in state(collection) if v}
    assert found == {(day, f"{number:06d}", day) for day in (21, 22) for number in range(COUNT)}
    assert collection.count_documents({"v": 0}) == (0 if removed else 200)


def test_swaps_of_two_dates_end_in_one_of_them(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Both succeed, each with a collection of its own; the later one's is what is left, whole."""
    children = [
        begun(mongo_uri, collection, mode="swap", day=day, version=day, run=f"report {day} load") for day in (21, 22)
    ]
    for child in children:
        assert told(child)["inserted"] == COUNT
    found = {(at.day, v) for at, _, v in state(collection)}
    assert found in ({(21, 21)}, {(22, 22)})
    assert collection.count_documents({}) == COUNT
    assert temporary(collection) == []


@MODE
def test_loads_of_one_date_end_in_the_same_documents(
    mongo_uri: str, collection: Collection[dict[str, Any]], mode: str
) -> None:
    """Four processes at once write the same documents into a collection that isn't there yet: each is there once."""
    children = [begun(mongo_uri, collection, mode=mode, run=f"report {number} load") for number in range(4)]
    counts = [told(child) for child in children]
    assert [made["inserted"] + made["replaced"] for made in counts] == [COUNT] * 4
    if mode != "swap":
        assert sum(made["inserted"] for made in counts) == COUNT
    assert [(tel, v) for _, tel, v in state(collection)] == [(f"{number:06d}", 2) for number in range(COUNT)]
    assert temporary(collection) == []


def test_different_loads_of_one_date_never_end_mixed(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Each removes what the other has written; who lost documents by that fails, and its retry is the last word."""
    jobs: dict[int, dict[str, Any]] = {
        version: {"mode": "replace_run", "version": version, "first": version * COUNT // 2, "run": str(version)}
        for version in (1, 2)
    }
    children = {version: begun(mongo_uri, collection, **job) for version, job in jobs.items()}
    errors = {version: child.communicate(timeout=90)[1] for version, child in children.items()}
    assert all("CountMismatch" in error for version, error in errors.items() if children[version].returncode)
    for version in (version for version, child in children.items() if child.returncode):
        told(begun(mongo_uri, collection, **jobs[version]))
    found = [(tel, v) for _, tel, v in state(collection)]
    keys = {version: range(version * COUNT // 2, version * COUNT // 2 + COUNT) for version in jobs}
    assert found in [[(f"{number:06d}", version) for number in keys[version]] for version in jobs]
