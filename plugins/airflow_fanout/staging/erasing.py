"""Some parameters' data is removed from a list and all its results; the run can be continued without them.

It may end at any point, and is continued when it is run again: what is to be done is written down first, and each file
is written as a whole. Until it is done, no task uses the list.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

import msgspec
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import FanoutError
from airflow_fanout.model.outcome import Kind, RecordKey
from airflow_fanout.model.parameter import ERASED
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import GenerationDirectory, ListDirectory
from airflow_fanout.staging.errors import JournalDamaged, PartLost
from airflow_fanout.staging.filtered import filtered
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.jobs import JobNote
from airflow_fanout.staging.journal import Piece, Snapshot
from airflow_fanout.staging.label import check_label
from airflow_fanout.staging.layout import GENERATION, TRY
from airflow_fanout.staging.left_out import erase_left_out
from airflow_fanout.staging.lines import read_frames, read_lines
from airflow_fanout.staging.loaded import Loaded, keep_only, read_loaded
from airflow_fanout.staging.reconcile import LatestRecords
from airflow_fanout.staging.results import check_parts
from airflow_fanout.staging.sealed import read_json, read_sealed, write_sealed
from airflow_fanout.staging.store import Location
from airflow_fanout.staging.validated import JudgedPart, Validated, read_validated

Wanted = Callable[[Json], bool]


class Erasing(msgspec.Struct, frozen=True, kw_only=True):
    """What is being erased from a list, and what of it was as it should be before that.

    :param indexes: the parameters' places in the list.
    :param is_judged: whether the journal is what validate has passed.
    :param whole: the generations, by shard and number, whose parts are all there.
    """

    indexes: tuple[int, ...]
    is_judged: bool
    whole: tuple[tuple[int, int], ...]


class ErasedList(msgspec.Struct, frozen=True):
    """What was erased from a list.

    :param parameters: how many parameters.
    :param files: how many files of results were written again.
    """

    parameters: int = 0
    files: int = 0


def count_wanted(directory: ListDirectory, is_wanted: Wanted) -> int:
    """Return how many of a list's parameters are wanted; 0 for a list whose data isn't there."""
    return len(_indexes(directory, is_wanted))


def erase_from_list(directory: ListDirectory, is_wanted: Wanted, is_alive: Callable[[], bool]) -> ErasedList | None:
    """Remove the data of parameters from a list and from its results; `None` if a task of its run may be using it.

    :param is_wanted: tells of a parameter whether it is to be erased.
    :param is_alive: tells whether the list's run still goes on.
    :raises StagingChanged: when a file isn't what was written, or is damaged: nobody knows what it holds.
    """
    manifest, loaded = read_sealed(directory.manifest, Manifest), read_loaded(directory)
    if manifest is None or loaded is not None:
        return None if is_alive() else _without_data(directory, loaded)
    begun = read_sealed(directory.erasing, Erasing)
    indexes = {*_indexes(directory, is_wanted), *(begun.indexes if begun is not None else ())}
    if not indexes:
        return ErasedList()
    if is_alive():
        return None
    erasing = begun or Erasing(indexes=(), is_judged=_is_judged(directory, manifest), whole=_whole(directory, manifest))
    erasing = replace(erasing, indexes=tuple(sorted(indexes)))
    write_sealed(directory.erasing, erasing)
    # A task that has begun before this was written is seen now; one that begins after it sees what was written.
    if is_alive():
        if begun is None:
            directory.erasing.delete()
        return None
    files = _erase_results(directory, manifest, erasing)
    _erase_accounts(directory, manifest, erasing, is_wanted)
    directory.erasing.delete()
    return ErasedList(len(indexes), files)


def _without_data(directory: ListDirectory, loaded: Loaded | None) -> ErasedList:
    """Remove what is left of a list that nobody can use."""
    if loaded is not None:
        keep_only(directory, loaded)
    else:
        # Extract has ended before the list was whole.
        _delete(directory.parameters)
    return ErasedList()


def _indexes(directory: ListDirectory, is_wanted: Wanted) -> list[int]:
    try:
        lines = enumerate(read_lines(directory.parameters))
        return [index for index, line in lines if line != ERASED and is_wanted(codec.decode(line))]
    except FileNotFoundError:
        return []


def _is_judged(directory: ListDirectory, manifest: Manifest) -> bool:
    """Tell whether every file that validate has passed is as it was then."""
    with suppress(FanoutError, OSError):
        judged = read_validated(directory, manifest.id)
        if judged is None:
            return False
        return all(
            (size, digest) == _part(directory, judged, shard, name)[1:]
            for shard, parts in judged.parts.items()
            for name, size, digest in parts
        )
    return False


def _part(directory: ListDirectory, judged: Validated, shard: str, name: str) -> JudgedPart:
    """Return what validate would write down of a part as it is now."""
    content = directory.shard(int(shard)).generation(judged.generations[shard]).part(name).content()
    return name, len(content), hashlib.sha256(content).hexdigest()


def _generations(directory: ListDirectory, manifest: Manifest) -> Iterator[tuple[int, int, GenerationDirectory]]:
    for number in range(manifest.shards):
        shard = directory.shard(number)
        yield from ((number, each, shard.generation(each)) for each in shard.numbers(GENERATION))


def _whole(directory: ListDirectory, manifest: Manifest) -> tuple[tuple[int, int], ...]:
    whole = []
    for shard, number, generation in _generations(directory, manifest):
        # What is lost must be noticed later, too.
        with suppress(PartLost):
            if generation.is_complete:
                check_parts(generation)
                whole.append((shard, number))
    return tuple(whole)


def _erase_results(directory: ListDirectory, manifest: Manifest, erasing: Erasing) -> int:
    """Remove the records and jobs of the parameters, and return how many files were changed."""
    files = 0
    for shard, number, generation in _generations(directory, manifest):
        indexes = {index for index in erasing.indexes if index in manifest.range_of(shard)}
        if not indexes:
            continue
        for location in generation.parts():
            files += _erase_lines(location, manifest.id, lambda line: RecordKey.from_line(line).index in indexes)  # noqa: B023 - it is called at once
        for location in generation.jobs():
            files += _erase_lines(location, manifest.id, lambda line: _note(line).index in indexes)  # noqa: B023 - it is called at once
        for attempt in map(generation.attempt, generation.numbers(TRY)):
            _delete_unusable(attempt)
        if (shard, number) in erasing.whole:
            complete = read_json(generation.completed)
            sizes = generation.sizes([generation.part(name) for name in complete.get("parts", {})])
            generation.completed.put_whole(codec.encode({**complete, "parts": sizes}))
    return files


def _erase_lines(location: Location, list_id: str, is_wanted: Callable[[bytes], bool]) -> bool:
    """Remove lines from a file of a try, and return whether it has changed; a file that nobody can use goes whole."""
    try:
        check_label(location, list_id)
        new = filtered(location, lambda line: None if is_wanted(line) else line)
    except FileNotFoundError:
        # Named in an object storage, and never put there.
        return False
    except (JournalDamaged, codec.NotJson):
        _delete(location)
        return True
    if new is not None:
        location.put_whole(new)
    return new is not None


def _delete_unusable(directory: Location) -> None:
    """Delete what was put aside, because it can't be read, and what a process that died has left half written."""
    for name in directory.names():
        if name.endswith(layout.DAMAGED) or name.startswith("."):
            _delete(directory.below(name))


_note = codec.decoder(JobNote)


def _erase_accounts(directory: ListDirectory, manifest: Manifest, erasing: Erasing, is_wanted: Wanted) -> None:
    """Remove the parameters from what validate has left out and from the list, and correct what is known of these."""
    erase_left_out(directory.left_out, is_wanted)
    judged = read_validated(directory, manifest.id) if erasing.is_judged else None
    if judged is None:
        _delete(directory.validated)
    places, wanted = count(), frozenset(erasing.indexes)
    parameters = filtered(directory.parameters, lambda line: ERASED if next(places) in wanted else line)
    if parameters is not None:
        directory.parameters.put_whole(parameters)
    _delete_unusable(directory)
    digest = hashlib.sha256()
    for frame in read_frames(directory.parameters):
        digest.update(frame)
    erased = tuple(sorted({*manifest.erased, *erasing.indexes}))
    known = replace(manifest, digest=digest.hexdigest(), erased=erased, first_id=manifest.id)
    write_sealed(directory.manifest, known)
    if judged is not None:
        write_sealed(directory.validated, _judged_again(directory, known, judged))


def _judged_again(directory: ListDirectory, manifest: Manifest, judged: Validated) -> Validated:
    """Return what validate has passed, with the files as they are without the parameters."""
    kinds: Counter[str] = Counter()
    parts = {
        shard: [_part(directory, judged, shard, name) for name, _, _ in files] for shard, files in judged.parts.items()
    }
    for shard, files in parts.items():
        generation = directory.shard(int(shard)).generation(judged.generations[shard])
        records = Snapshot(generation, pieces=[Piece(generation.part(name), size) for name, size, _ in files])
        latest = LatestRecords(records.places(), manifest.range_of(int(shard)))
        kinds.update(str(record.kind) for record in latest.of(records.places()))
    if not_tried := manifest.remaining - kinds.total():
        kinds[Kind.NOT_TRIED] = not_tried
    left_out = min(judged.left_out, manifest.remaining - kinds[Kind.OK])
    return replace(judged, parts=parts, kinds=dict(kinds), left_out=left_out)


def _delete(location: Location) -> None:
    with suppress(FileNotFoundError):
        location.delete()
