"""The messages between engines and their parent: what goes over the pipe, and how several ends become one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, get_args

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.codec import NotJson
from airflow_fanout.control.breaker import Trip
from airflow_fanout.control.frames import SlotRange
from airflow_fanout.launch.job import Job, Terms
from airflow_fanout.launch.joint_end import badness, together
from airflow_fanout.launch.messages import (
    BudgetUse,
    CredentialsRefused,
    DamagedPart,
    Ended,
    EngineMessage,
    Failed,
    NewCredentials,
    NoCredentials,
    ParentMessage,
    ProgressReport,
    Remark,
    ReservedSlots,
    SendingRate,
    Start,
    StoredNotes,
    encode,
    from_engine,
    from_parent,
)
from airflow_fanout.launch.stop_reasons import (
    BatchesRefused,
    BreakerTripped,
    ConnectionsStopped,
    ConnectionStopped,
    Finished,
    LongOutage,
    LongPause,
    Overtaken,
    StartupFailed,
    Stopped,
    StopReason,
)
from airflow_fanout.model.outcome import Cause, Kind
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = Progress(total=3)
# One of each, the worst first.
REASONS = (
    Overtaken(),
    StartupFailed(3, Cause.CREDENTIALS, "HTTP 401"),
    BreakerTripped(Trip(50, 40, Kind.HTTP_ERROR, 404, 30, transient=False)),
    BatchesRefused(20, 2, "HTTP 400 Bad Request"),
    LongOutage(60.0, "connection error"),
    LongPause(3600.0),
    ConnectionsStopped((ConnectionStopped("shop_7", LongOutage(60.0, "timeout"), 5, 3, 2),)),
    Stopped(),
    Finished(),
)
MESSAGES = (
    ProgressReport(STATE),
    *(Ended(reason, STATE) for reason in REASONS),
    Failed("OSError", "no\nspace", "Traceback", is_final=True),
    Remark("“quoted”\u2028"),
    DamagedPart("/staging/part-0.zst"),
    CredentialsRefused(2),
    BudgetUse(10, 1, 4, 200, 16, 2.5),
    CredentialsRefused(2, "shop_7"),
)
DOWN = (
    Start(
        Job(
            directory="/staging",
            start=0,
            stop=3,
            shard=0,
            generation=1,
            endpoint=Endpoint(base_url="https://api.example"),
            request=None,
            function=b"\0\n",
            settings=FetchSettings(),
            path=("/dags",),
        )
    ),
    SendingRate(12.5),
    ReservedSlots((SlotRange(begin_us=1, length_us=250_000, of=25, first=3, count=2),), 8.0, 100.0, None, 7, 9, "why"),
    NewCredentials(
        Endpoint(base_url="https://api.example", password="s3cr3t", auth="bearer"),
        Terms(renewal=2, ends_at_s=None, trusted_until_s=9.5),
    ),
    NoCredentials("shop_7"),
    StoredNotes({"jobs-00000.jsonl.zst": 1_234}),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_one_line_and_comes_back_equal(message: EngineMessage) -> None:
    """Whatever its texts hold, with all its types."""
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert from_engine(line.rstrip(b"\n")) == message


@pytest.mark.parametrize("message", DOWN, ids=lambda message: type(message).__name__)
def test_a_message_of_the_parent_comes_back_equal(message: ParentMessage) -> None:
    """The other way as well: one line, with all its types."""
    line = encode(message)
    assert line.endswith(b"\n")
    assert from_parent(line.rstrip(b"\n")) == message


def test_each_type_is_tried_here() -> None:
    """A message or a reason that is added has to be added to these tests, too."""
    assert {type(message) for message in MESSAGES} == set(get_args(EngineMessage))
    assert {type(message) for message in DOWN} == set(get_args(ParentMessage))
    assert {type(reason) for reason in REASONS} == {Finished, *get_args(StopReason)}


def test_a_message_is_compact() -> None:
    """A message is an array that begins with its name: field names aren't sent each second."""
    assert encode(Remark("hello")) == b'["note","hello"]\n'
    assert encode(Ended(LongPause(9.0), STATE)).startswith(b'["ended",["wait",9.0,""],{"total":3,')


@pytest.mark.parametrize("line", [b'["unheard","of"]', b'["note"]', b'["wait",9.0]', b"[]", b"note", b""])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    """An unknown name, a field that is missing, a reason alone, and no JSON at all."""
    with pytest.raises(NotJson):
        from_engine(line)


@pytest.mark.parametrize("line", [b'["unheard","of"]', b'["rate"]', b'["done"]', b""])
def test_what_no_parent_says_is_refused(line: bytes) -> None:
    """Neither direction has the other one's messages."""
    with pytest.raises(NotJson):
        from_parent(line)


def test_the_worst_end_is_told() -> None:
    """An engine that has said nothing is worse than one that has failed, and that is worse than any reason to stop."""
    ends = [None, Failed("OSError", ""), *(Ended(reason, STATE) for reason in REASONS)]
    assert all(badness(worse) < badness(better) for worse, better in pairwise(ends))


@pytest.mark.parametrize(
    ("reasons", "joint"),
    [
        ([Stopped(), Finished(), Stopped()], Stopped()),
        ([LongPause(5.0), Finished(), LongPause(9.0)], LongPause(9.0)),
        ([LongPause(5.0), LongPause(9.0, "the renewal")], LongPause(9.0, "the renewal")),
        ([LongOutage(5.0, "first"), LongOutage(9.0, "second")], LongOutage(9.0, "first")),
        (
            [BatchesRefused(20, 2, "HTTP 400"), Finished(), BatchesRefused(3, 2, "HTTP 413")],
            BatchesRefused(23, 4, "HTTP 400"),
        ),
        (
            [StartupFailed(3, Cause.CREDENTIALS, "401"), StartupFailed(2, Cause.FORBIDDEN, "403")],
            StartupFailed(5, Cause.CREDENTIALS, "401"),
        ),
        (
            [
                BreakerTripped(Trip(50, 40, Kind.HTTP_ERROR, 404, 30, transient=False)),
                BreakerTripped(Trip(20, 10, Kind.TIMEOUT, None, 5, transient=True)),
                BreakerTripped(Trip(4, 3, Kind.HTTP_ERROR, 404, 2, transient=False)),
            ],
            BreakerTripped(Trip(74, 53, Kind.HTTP_ERROR, 404, 32, transient=False)),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_ends_of_the_same_kind_add_up(reasons: Sequence[Finished | StopReason], joint: Finished | StopReason) -> None:
    """Counts add up, those of the most frequent cause only if it is the same; the longest wait and first text count."""
    worst = [reason for reason in reasons if type(reason) is type(joint)][-1]
    assert together(worst, reasons) == joint
