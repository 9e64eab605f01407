"""What earlier tries have done already."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import suppress

from airflow_fanout.model.outcome import Kind
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import GenerationDirectory, TryDirectory
from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.journal import read_places
from airflow_fanout.staging.reconcile import CompletedSet
from airflow_fanout.staging.store import Location


def resume(
    generation: GenerationDirectory, indexes: range, list_id: str | None = None
) -> tuple[CompletedSet, list[Location]]:
    """Return which indexes have a good outcome, and the parts that were damaged.

    A damaged part is put aside, as `….damaged`: none of its records counts, so they are fetched again. So is one that
    was written for another list.

    :param list_id: the id of the list that the parts must belong to; `None` for any.
    """
    done = CompletedSet(indexes)
    damaged: list[Location] = []
    for part in generation.parts():
        try:
            # All of a part, or nothing of it: the damage may show at its end only.
            places = read_places(part, list_id)
            # An index, or its complement (which is negative) if it has to be fetched again: eight bytes a record.
            ended = array("q", (place.index if place.kind is Kind.OK else ~place.index for place in places))
        except JournalDamaged:
            with suppress(FileNotFoundError):
                part.store.move(part.key, f"{part.key}{layout.DAMAGED}")
                damaged.append(part)
            continue
        except FileNotFoundError:
            # Another process of the same try has put it aside.
            continue
        for index in ended:
            done.set(max(index, ~index), good=index >= 0)
    return done, damaged


def resume_within(attempt: TryDirectory, done: CompletedSet) -> Iterator[Kind]:
    """Note all that one try has ended, with whatever outcome, as done; yield the kinds of what wasn't noted before.

    :param attempt: the directory of the try.
    :param done: what has a good outcome.
    """
    for part in attempt.parts():
        for place in read_places(part):
            if done.add(place.index):
                yield place.kind
