"""The messages between engines and their parent, one type for each, and what the parent observes itself.

Code that handles messages distinguishes them by type and ends with `assert_never`. If a message is added here and not
handled there, the type check fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from airflow_fanout import codec
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.control.frames import SlotRange
from airflow_fanout.launch.job import Job, Terms
from airflow_fanout.launch.stop_reasons import Finished, StopReason
from airflow_fanout.launch.watch import Silence
from airflow_fanout.model.progress import Progress


class Start(msgspec.Struct, frozen=True, array_like=True, tag="start"):
    """The parent's first message: what the engine is to do."""

    job: Job


class SendingRate(msgspec.Struct, frozen=True, array_like=True, tag="rate"):
    """From now on, the engine may send this number of requests per second."""

    per_s: float


class NewCredentials(msgspec.Struct, frozen=True, array_like=True, tag="credentials"):
    """From now on, the engine sends with the credentials of this endpoint.

    With the renewal that it has already, they are confirmed: what was refused was refused for its own sake.
    `connection` is the id of the one that they are for, if the parameters name theirs.
    """

    endpoint: Endpoint
    terms: Terms
    connection: str = ""


class NoCredentials(msgspec.Struct, frozen=True, array_like=True, tag="no_credentials"):
    """There will be no more credentials for one of several connections: nothing more is sent by it."""

    connection: str


class ReservedSlots(msgspec.Struct, frozen=True, array_like=True, tag="slots"):
    """When the engine may send, besides the slots that it holds; moments are microseconds of the monotonic clock.

    `share_per_s` is the rate of the slots, of `all_per_s` of the whole budget, in requests per second. Slots from
    `void_from_us` on that it holds are void. The API wants no requests until `paused_until_us`. `at_once` is the most
    requests under way, `None` for no limit but its own. `why` says what further slots wait for, if not for their turn;
    `closed_until_us` is when a quota or quiet hours let them through again, if these are what they wait for.
    """

    slots: tuple[SlotRange, ...]
    share_per_s: float
    all_per_s: float
    at_once: int | None
    void_from_us: int | None = None
    paused_until_us: int = 0
    why: str = ""
    closed_until_us: int = 0


class StoredNotes(msgspec.Struct, frozen=True, array_like=True, tag="notes"):
    """How many bytes of each file of notes about jobs are in the object storage, by the file's name."""

    sizes: Mapping[str, int]


# What a parent writes to the pipe of its engine.
ParentMessage: TypeAlias = Start | SendingRate | NewCredentials | NoCredentials | ReservedSlots | StoredNotes


class ProgressReport(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """What is done so far, once a second."""

    progress: Progress


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """The engine's last message: why it ends, and its last progress."""

    reason: Finished | StopReason
    progress: Progress


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The engine's last message if an error of its own has ended it.

    `kind` is the name of the error's class. `details` is its traceback, or empty if that explains nothing. `is_final`
    says that no other try could succeed.
    """

    kind: str
    message: str
    details: str = ""
    is_final: bool = False


class CredentialsRefused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """The API has refused a request with the credentials of this renewal; the engine waits for an answer.

    `connection` is the id of the one that was used, if the parameters name theirs.
    """

    renewal: int
    connection: str = ""


class BudgetUse(msgspec.Struct, frozen=True, array_like=True, tag="use"):
    """What has become of the engine's slots so far: sent in, given up, still held; several times a second.

    `needs` is about how many requests it has to send, `has_at_once` the most that it can have under way until it hears
    otherwise, `pause_s` for how long the API has asked for no requests, since the last such message. `is_last`
    says that the engine ends with that. Of the slots that were given up, `missed` were there in time.
    """

    sent: int
    given_up: int
    held: int
    needs: int
    has_at_once: int
    pause_s: float = 0.0
    is_last: bool = False
    missed: int = 0


class Remark(msgspec.Struct, frozen=True, array_like=True, tag="note"):
    """A sentence for the log, on how the engine does its work."""

    text: str


class DamagedPart(msgspec.Struct, frozen=True, array_like=True, tag="damaged"):
    """The path of a part of the journal that was damaged; what was in it is fetched again."""

    path: str


class Output(msgspec.Struct, frozen=True):
    """A line that an engine's code has printed, as its parent has read it."""

    text: str


class Warned(msgspec.Struct, frozen=True):
    """A warning for the log, from the parent that watches its engines."""

    text: str


# What an engine writes to the pipe of its messages.
EngineMessage: TypeAlias = ProgressReport | Ended | Failed | Remark | DamagedPart | CredentialsRefused | BudgetUse
# What the parent hears of one engine: its messages, and what it observes itself.
Heard: TypeAlias = EngineMessage | Output | Silence
# What the engines of a fetch say together.
FetchMessage: TypeAlias = ProgressReport | Ended | Failed | Remark | DamagedPart | Output | Warned

# Both return the message in a line, and raise `NotJson` if there is none.
from_engine: Callable[[bytes], EngineMessage] = codec.decoder(cast("Any", EngineMessage))
from_parent: Callable[[bytes], ParentMessage] = codec.decoder(cast("Any", ParentMessage))


def encode(message: EngineMessage | ParentMessage) -> bytes:
    """Return a message as one line of JSON, with its line break; bytes are in base64."""
    return _encode(message) + b"\n"


def _written(value: Any) -> Any:
    if isinstance(value, range):
        # An author's statuses may be one.
        return list(value)
    raise TypeError(f"JSON has no form for a value of type {type(value).__name__}")


_encode: Callable[[EngineMessage | ParentMessage], bytes] = msgspec.json.Encoder(enc_hook=_written).encode
