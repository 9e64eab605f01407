"""What a task leaves behind when it fails, for the one message about its run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from airflow_fanout.errors import FanoutError
from airflow_fanout.model.outcome import Kind

if TYPE_CHECKING:
    from airflow_fanout.model.progress import Progress

# The name of the XCom: Airflow removes it by itself when the task is tried again.
KEY = "failure"
# A message is for people; the log has all of it.
LONGEST = 6_000
# As JSON, in which a sign that isn't ASCII takes up to twelve bytes. Airflow's database is no place for more.
LARGEST_BYTES = 60_000
SHORT = 2_000


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many parameters have no valid result, as far as a task knows.

    :param total: the number of parameters of the whole list.
    :param causes: the number of the missing ones, by cause.
    """

    total: int
    causes: dict[str, int] = {}

    @property
    def missing(self) -> int:
        """The parameters without a valid result."""
        return sum(self.causes.values())

    @classmethod
    def of_progress(cls, progress: Progress, total: int) -> Counts:
        """Return what a fetch that has come so far still lacks; it may be that of one shard.

        :param total: the number of parameters of the whole list.
        """
        causes = {kind.value: progress.kinds[kind] for kind in Kind if kind is not Kind.OK and progress.kinds[kind]}
        rest = progress.total - progress.done
        return cls(total=total, causes=causes | ({Kind.NOT_TRIED.value: rest} if rest else {}))


class FailureNote(msgspec.Struct, frozen=True, kw_only=True):
    """The failure of one task: nothing in it is personal or secret.

    :param error: the name of the error's type.
    :param message: what happened, and what to do about it.
    """

    task_id: str
    map_index: int
    error: str
    message: str
    counts: Counts | None = None


def fitting(note: FailureNote) -> FailureNote:
    """Return a note that has at most `LARGEST_BYTES`: if it has more, its message is cut, and then its causes."""
    if len(json.dumps(msgspec.to_builtins(note))) <= LARGEST_BYTES:
        return note
    note = replace(note, message=f"{note.message[:SHORT]}… (the log has all of it)")
    if note.counts is None or len(json.dumps(msgspec.to_builtins(note))) <= LARGEST_BYTES:
        return note
    kinds: Counter[str] = Counter()
    for cause, count in note.counts.causes.items():
        # A cause begins with its kind, as in "http_error 404".
        kinds[cause.partition(" ")[0]] += count
    return replace(note, counts=replace(note.counts, causes=dict(kinds)))


def describe(error: BaseException) -> tuple[str, str]:
    """Return the type and the message of an error, in which nothing is personal or secret.

    This plugin masks its own messages where it makes them. Other messages may hold anything: of these, only the type
    and the place are shown.
    """
    own = next((candidate for candidate in (error, error.__cause__) if isinstance(candidate, FanoutError)), None)
    if own is None:
        frames = extract_tb(error.__traceback__)
        place = f" in {frames[-1].name}, {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        text = f"{type(error).__name__}{place}. The log has its text, which may hold personal data."
        return type(error).__name__, text
    # Its forms of secrets take a while to compile: not in a DAG file that is parsed.
    from airflow_fanout.privacy.redaction import redact, without_secrets

    text = str(own)
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}… (the log has all of it)"
    # The samples of a validation are masked, or shown since their author said so.
    return type(own).__name__, without_secrets(shown) if own.shows_samples else redact(shown)
