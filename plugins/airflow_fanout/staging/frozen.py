"""The frozen list: the report's parameters, in order, without duplicates, written once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import mask
from airflow_fanout.model import parameter
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.errors import BadParameter
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import DuplicateParameter, StagingChanged, StagingLost, UnknownSelection
from airflow_fanout.staging.lines import LinesWriter, read_frames, read_lines
from airflow_fanout.staging.sealed import read_sealed, seal_of, write_sealed
from airflow_fanout.staging.seen import Seen
from airflow_fanout.staging.store import Location

Duplicates = Literal["drop", "refuse"]
Indexed = Iterator[tuple[int, Json]]


class CatchUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list of what an earlier run has left out, which goes through the same tasks as the run's own, before that.

    :param number: the number of its directory, beside that of the run's own list.
    :param list_id: its id.
    :param run_id: the earlier run.
    :param nonce: that of the file that it was made of.
    """

    number: int
    list_id: str
    run_id: str
    nonce: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a frozen list.

    :param count: the number of parameters.
    :param duplicates: how many were dropped because they were there before.
    :param digest: SHA-256 of the lines, so that two runs' lists can be compared.
    :param as_of: the run's one date, in UTC and ISO 8601.
    :param as_of_from: what that was taken from: a param, the data interval, the logical date, or the trigger's time.
    :param day: its day in the DAG's time zone, in ISO 8601.
    :param fields: the names of the fields that every parameter has.
    :param shards: into how many ranges of indexes the list is cut.
    :param partial: whether the run was triggered for a part of the source only, by `limit` or `only`.
    :param nonce: a random text, so that no two lists have the same id.
    :param catch_ups: the lists of what earlier runs have left out, the oldest date first.
    :param erased: the indexes of parameters whose data was erased; the list has a `null` in the place of each.
    :param first_id: the list's id before that, which it keeps.
    """

    count: int
    duplicates: int
    digest: str
    as_of: str
    fields: tuple[str, ...]
    shards: int
    partial: bool = False
    as_of_from: str = ""
    day: str = ""
    nonce: str = ""
    catch_ups: tuple[CatchUp, ...] = ()
    erased: tuple[int, ...] = ()
    first_id: str = ""

    @property
    def id(self) -> str:
        """What journal, validation and XCom know the list by: a digest of all that was known of it at first."""
        return self.first_id or seal_of(self)

    @property
    def remaining(self) -> int:
        """The number of parameters that weren't erased."""
        return self.count - len(self.erased)

    @property
    def moment(self) -> datetime:
        """The run's one date, as a moment in UTC."""
        return datetime.fromisoformat(self.as_of)

    def range_of(self, shard: int) -> range:
        """Return the indexes of a shard; the shards' sizes differ by one at most."""
        return range(shard * self.count // self.shards, (shard + 1) * self.count // self.shards)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What of the source is wanted: all of it, the first few, or only some of it."""

    limit: int | None = None
    only: Collection[Any] = ()


def freeze(
    raw: Iterable[object],
    directory: ListDirectory,
    *,
    as_of: AsOf,
    names: tuple[str, ...],
    duplicates: Duplicates,
    selection: Selection,
    shards: int,
    catch_ups: tuple[CatchUp, ...] = (),
) -> Manifest:
    """Write the parameters of a source into the run's directory, as they come, and return what is known of them.

    :param catch_ups: the lists of what earlier runs have left out.
    :raises BadParameter: for an item that is no parameter.
    :raises DuplicateParameter: for one that was there before, with `duplicates="refuse"`.
    :raises UnknownSelection: when the source doesn't have what the selection names.
    """
    pen = _ListWriter(directory.parameters)
    with pen.lines, Seen() as seen:
        chosen = _chosen(_normal(raw, names), names, selection)
        for value in islice(_distinct(chosen, seen, duplicates, pen), selection.limit):
            pen.write(value)
    partial = selection.limit is not None or bool(selection.only)
    manifest = replace(pen.manifest(as_of, shards, partial=partial), catch_ups=catch_ups)
    # From now on the list is whole.
    write_sealed(directory.manifest, manifest)
    return manifest


class _ListWriter:
    """Writes parameters, and keeps what the manifest says of them."""

    def __init__(self, location: Location) -> None:
        self.lines = LinesWriter(location)
        self.duplicates = 0
        self._count = 0
        self._digest = hashlib.sha256()
        self._fields: dict[str, None] | None = None

    def write(self, value: Json) -> None:
        line = codec.encode(value)
        self.lines.append_line(line)
        self._digest.update(line + b"\n")
        self._count += 1
        names = parameter.fields(value)
        if self._fields is None:
            self._fields = dict.fromkeys(names)
        elif self._fields.keys() != names.keys():
            self._fields = {name: None for name in self._fields if name in names}

    def manifest(self, as_of: AsOf, shards: int, *, partial: bool) -> Manifest:
        return Manifest(
            count=self._count,
            duplicates=self.duplicates,
            digest=self._digest.hexdigest(),
            as_of=as_of.moment.isoformat(),
            as_of_from=as_of.source,
            day=as_of.day,
            fields=tuple(self._fields or ()),
            shards=min(shards, max(self._count, 1)),
            partial=partial,
            nonce=secrets.token_hex(16),
        )


def _normal(raw: Iterable[object], names: tuple[str, ...]) -> Iterator[tuple[int, Json]]:
    for index, item in enumerate(raw):
        yield index, parameter.normalise(item, index=index, names=names)


def _chosen(
    items: Iterator[tuple[int, Json]], names: tuple[str, ...], selection: Selection
) -> Iterator[tuple[int, Json]]:
    if not selection.only:
        yield from items
        return
    try:
        wanted = {codec.canonical(value): value for _, value in _normal(selection.only, names)}
    except BadParameter as error:
        problem = f"parameters as the source gives them, but this one {error.problem}"
        raise BadSetting(f"only[{error.index}]", error.shown, problem) from error
    seen = set()
    for index, value in items:
        if (identity := codec.canonical(value)) in wanted:
            seen.add(identity)
            yield index, value
    if missing := [value for identity, value in wanted.items() if identity not in seen]:
        raise UnknownSelection(len(missing), mask(missing[0]))


def _distinct(items: Indexed, seen: Seen, duplicates: Duplicates, pen: _ListWriter) -> Iterator[Json]:
    for index, value in items:
        if seen.add(codec.canonical(value)):
            yield value
        elif duplicates == "refuse":
            raise DuplicateParameter(index, mask(value))
        else:
            pen.duplicates += 1


def read_manifest(directory: ListDirectory) -> Manifest:
    """Return the manifest of a frozen list.

    :raises StagingLost: when the list isn't there.
    :raises StagingChanged: when the manifest was changed after it was written, or is another version's.
    """
    manifest = read_sealed(directory.manifest, Manifest)
    if manifest is None:
        raise StagingLost(str(directory.manifest), "isn't there")
    return manifest


def verify_list(directory: ListDirectory, manifest: Manifest) -> None:
    """Read the frozen list, and check that it is the one that the manifest describes. Takes 0.1 s for a million.

    :raises FanoutError: when it isn't there, or isn't that one.
    """
    digest, count = hashlib.sha256(), 0
    try:
        for frame in read_frames(directory.parameters):
            digest.update(frame)
            count += frame.count(b"\n")
    except FileNotFoundError:
        raise StagingLost(str(directory.parameters), "isn't there") from None
    if count != manifest.count:
        raise StagingChanged(str(directory.parameters), f"has {count:,} parameters, and {manifest.count:,} were frozen")
    if digest.hexdigest() != manifest.digest:
        raise StagingChanged(str(directory.parameters), "doesn't hold the parameters that were frozen")


def read_parameters(directory: ListDirectory, indexes: range, read: Any = codec.decode_known) -> Indexed:
    """Yield the index and the parameter of each line in a range, as `read` makes it; those that were erased left out.

    :raises StagingLost: when the list is shorter than its manifest says.
    """
    index = -1
    lines = enumerate(read_lines(directory.parameters))
    for index, line in islice(lines, indexes.start, indexes.stop, indexes.step):
        if line != parameter.ERASED:
            yield index, read(line)
    if indexes and index != indexes[-1]:
        raise StagingLost(str(directory.parameters), f"has fewer than the {indexes.stop:,} parameters it should have")
