from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.errors import BadParameter
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import DuplicateParameter, StagingLost, UnknownSelection
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import Manifest, Selection, freeze, read_manifest, read_parameters
from airflow_fanout.staging.sealed import read_json
from tests.staging.places import report_at

AS_OF = AsOf(moment=datetime(2026, 11, 22, tzinfo=UTC), day="2026-11-22", source="data_interval")
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def frozen(tmp_path: Path, raw: Iterable[object], **options: Any) -> tuple[ListDirectory, Manifest]:
    """Freeze a source into a new list."""
    directory = report_at(tmp_path).new_list()
    defaults: dict[str, Any] = {"names": (), "duplicates": "drop", "selection": Selection(), "shards": 1}
    return directory, freeze(raw, directory, as_of=AS_OF, **{**defaults, **options})


def parameters(directory: ListDirectory, count: int) -> list[Json]:
    """Return all parameters of a list; their indexes must be their places."""
    found = list(read_parameters(directory, range(count)))
    assert [index for index, _ in found] == list(range(count))
    return [value for _, value in found]


@given(st.lists(st.integers(0, 20) | st.text("ab", max_size=2)))
@SAME_FOLDER
def test_the_list_is_the_source_in_order_without_duplicates(tmp_path: Path, raw: list[int | str]) -> None:
    """The first of equal parameters is kept in its place, the others are counted."""
    directory, manifest = frozen(tmp_path, raw)
    assert parameters(directory, manifest.count) == list(dict.fromkeys(raw))
    assert manifest.count + manifest.duplicates == len(raw)
    assert read_manifest(directory) == manifest


@given(st.integers(0, 200), st.integers(1, 50))
def test_shards_cut_the_list_without_gap_or_overlap(count: int, shards: int) -> None:
    """The ranges of all shards follow each other from the first index to the last, of nearly equal size."""
    manifest = Manifest(count=count, duplicates=0, digest="", as_of="", fields=(), shards=shards)
    ranges = [manifest.range_of(shard) for shard in range(shards)]
    assert [index for indexes in ranges for index in indexes] == list(range(count))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


def test_there_are_no_more_shards_than_parameters(tmp_path: Path) -> None:
    """Ten shards of three parameters are three; an empty list has one."""
    assert frozen(tmp_path, ["a", "b", "c"], shards=10)[1].shards == 3
    assert frozen(tmp_path, [], shards=10)[1].shards == 1


def test_equal_objects_are_duplicates_whatever_their_order(tmp_path: Path) -> None:
    """The same fields in another order are the same parameter; 1, 1.0 and "1" are three."""
    _, manifest = frozen(tmp_path, [{"a": 1, "b": 2}, {"b": 2, "a": 1}, 1, 1.0, "1"])
    assert (manifest.count, manifest.duplicates) == (4, 1)


def test_duplicates_are_refused_where_the_author_says_so(tmp_path: Path) -> None:
    """The second of two equal parameters is named by its place, and no list is left that later tasks could use."""
    with pytest.raises(DuplicateParameter) as caught:
        frozen(tmp_path, ["+12025550100", "+12025550101", "+12025550100"], duplicates="refuse")
    assert caught.value.index == 2
    assert "+1202" not in str(caught.value)
    with pytest.raises(StagingLost):
        read_manifest(list_at(str(tmp_path / "list-0001")))


def test_a_bad_parameter_is_named_by_its_place_in_the_source(tmp_path: Path) -> None:
    """Duplicates before it count: the index is that of the source."""
    with pytest.raises(BadParameter) as caught:
        frozen(tmp_path, ["a", "a", None])
    assert caught.value.index == 2


def test_the_manifest_has_the_fields_that_all_parameters_have(tmp_path: Path) -> None:
    """A field that only some have can't be used by a request; the order is the first parameter's."""
    raw = [{"tel": "a", "name": "A", "x": 1}, {"x": 2, "tel": "b"}, {"tel": "c", "x": 3, "y": 4}]
    assert frozen(tmp_path, raw)[1].fields == ("tel", "x")
    assert frozen(tmp_path, [("a", "b"), ("c",)])[1].fields == ("0",)
    assert frozen(tmp_path, [("2026-11-15", "2026-11-22")], names=("start", "end"))[1].fields == ("start", "end")
    assert frozen(tmp_path, [])[1].fields == ()


def test_the_digest_is_that_of_the_parameters(tmp_path: Path) -> None:
    """Equal lists have equal digests; another parameter, order or grouping of the same digits gives another."""
    lists: list[list[object]] = [["a", "b"], ["b", "a"], ["a"], [1, 23], [12, 3], [123], [("a", "b")], []]
    digests = [frozen(tmp_path, raw)[1].digest for raw in lists]
    assert len(set(digests)) == len(lists)
    assert digests == [frozen(tmp_path, raw)[1].digest for raw in lists]


def test_the_moment_of_the_run_is_kept(tmp_path: Path) -> None:
    """The run's date comes back as the moment it was, with its day and with what it was taken from."""
    directory, _ = frozen(tmp_path, ["a"])
    kept = read_manifest(directory)
    assert AsOf(moment=kept.moment, day=kept.day, source=kept.as_of_from) == AS_OF


def counted(values: Iterable[object], taken: list[object]) -> Iterator[object]:
    """Yield values, noting each that was asked for."""
    for value in values:
        taken.append(value)
        yield value


def test_a_limit_takes_the_first_and_asks_for_no_more(tmp_path: Path) -> None:
    """With a limit, the source isn't read beyond it: no page more is requested than needed."""
    taken: list[object] = []
    directory, manifest = frozen(tmp_path, counted(["a", "a", "b", "c", "d"], taken), selection=Selection(limit=2))
    assert parameters(directory, manifest.count) == ["a", "b"]
    assert taken == ["a", "a", "b"]


def test_only_what_is_selected_is_frozen(tmp_path: Path) -> None:
    """A selection is compared by value, written raw or with names, and keeps the source's order."""
    raw = [{"tel": tel, "name": "x"} for tel in ("a", "b", "c")]
    selection = Selection(only=["c", {"tel": "a"}])
    directory, manifest = frozen(tmp_path, raw, names=("tel",), selection=selection)
    assert parameters(directory, manifest.count) == [{"tel": "a"}, {"tel": "c"}]


def test_a_selection_that_the_source_lacks_is_refused(tmp_path: Path) -> None:
    """A slip in a selected parameter doesn't make a smaller report: it is told, masked, with its number."""
    selection = Selection(only=["+12025550100", "+12025550177", "+12025550188"])
    with pytest.raises(UnknownSelection) as caught:
        frozen(tmp_path, ["+12025550100"], selection=selection)
    assert (caught.value.missing, caught.value.shown) == (2, "…77")


def test_a_bad_selection_is_not_blamed_on_the_source(tmp_path: Path) -> None:
    """The message says which item of `only` can't be a parameter."""
    with pytest.raises(BadSetting) as caught:
        frozen(tmp_path, [("a", "b")], names=("start", "end"), selection=Selection(only=[("a", "b"), "c"]))
    assert caught.value.field == "only[1]"


def test_a_range_of_the_list_is_read_with_its_indexes(tmp_path: Path) -> None:
    """A shard reads its own part; an empty range is no error."""
    directory, _ = frozen(tmp_path, ["a", "b", "c", "d"])
    assert list(read_parameters(directory, range(1, 3))) == [(1, "b"), (2, "c")]
    assert list(read_parameters(directory, range(2, 2))) == []


@pytest.mark.parametrize("indexes", [range(5), range(3, 5), range(4, 5), range(7, 9)], ids=repr)
def test_a_list_that_is_too_short_is_told_as_lost(tmp_path: Path, indexes: range) -> None:
    """A list that has lost its end doesn't pass for a shorter one, not even by a single parameter."""
    directory, _ = frozen(tmp_path, ["a", "b", "c", "d"])
    with pytest.raises(StagingLost, match=r"parameters\.jsonl\.zst"):
        list(read_parameters(directory, indexes))


def test_without_a_manifest_there_is_no_list(tmp_path: Path) -> None:
    """An extract that was killed leaves nothing that a fetch would take for the list."""

    def broken() -> Iterator[str]:
        yield "a"
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError):
        frozen(tmp_path, broken())
    with pytest.raises(StagingLost, match=r"manifest\.json isn't there"):
        read_manifest(list_at(str(tmp_path / "list-0001")))


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    """The manifest can be read, and be moved with its list."""
    directory, manifest = frozen(tmp_path, [("a", "b")], names=("x", "y"), shards=4)
    found = read_json(directory.manifest)
    # JSON has no tuples.
    assert found == {**asdict(manifest), "fields": ["x", "y"], "catch_ups": [], "erased": [], "seal": manifest.id}
    directory.manifest.put_whole(directory.manifest.content())
    assert read_manifest(directory) == manifest


@pytest.mark.parametrize(
    ("selection", "partial"),
    [(Selection(), False), (Selection(limit=2), True), (Selection(only=["a"]), True)],
)
def test_manifest_says_whether_the_run_is_for_a_part_only(tmp_path: Path, selection: Selection, partial: bool) -> None:
    """A list cut by `limit` or `only` is marked, so that whole runs aren't compared with it."""
    directory, _ = frozen(tmp_path, ["a", "b", "c"], selection=selection)
    assert read_manifest(directory).partial is partial
