from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from airflow_fanout.alerts.note import Counts, FailureNote, describe
from airflow_fanout.launch.errors import Tripped
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress
from airflow_fanout.sources.errors import BadSource
from airflow_fanout.validation.errors import ValidationFailed

TEL = "+12025550143"


def lookup() -> None:
    """Fail as an author's function does."""
    raise KeyError(TEL)


def test_a_message_of_ours_is_told_with_its_advice() -> None:
    """What the plugin's own errors say stands in the alert, with the name of what happened."""
    error = Tripped(
        sample=50,
        failed=50,
        of_cause=50,
        cause="HTTP 401",
        fix="Fix the endpoint",
        total=1_000,
        begun=50,
        under_way=0,
        transient=False,
    )
    kind, message = describe(error)
    assert kind == "Tripped"
    assert message == str(error)
    assert "Fix the endpoint, then clear this task." in message


def test_an_error_of_ours_is_found_behind_airflows() -> None:
    """Airflow's exception that stops the retries is only the envelope."""
    outer = RuntimeError("outer")
    outer.__cause__ = BadSource("the list", "it is down")
    assert describe(outer)[0] == "BadSource"


def test_a_foreign_message_stays_in_the_log() -> None:
    """What an author's function or a library says may be personal or secret: its type and its place are enough."""
    with pytest.raises(KeyError) as raised:
        lookup()
    kind, message = describe(raised.value)
    assert kind == "KeyError"
    assert TEL not in message
    assert message.startswith("KeyError in lookup, test_note.py:")


def test_the_samples_of_a_validation_are_as_their_author_wants_them() -> None:
    """They are masked already, or shown because they are no personal data; secrets are masked all the same."""
    error = ValidationFailed("1 of 2 parameters\n  #7 12345678: https://a:b@c.example/")
    assert describe(error)[1] == "1 of 2 parameters\n  #7 12345678: https://…@c.example/"


def test_what_a_fetch_lacks() -> None:
    """The bad ones by kind, and those that it hadn't come to."""
    progress = Progress(total=100, kinds=Counter({Kind.OK: 60, Kind.TIMEOUT: 10}))
    assert Counts.of_progress(progress, 300) == Counts(total=300, causes={"timeout": 10, "not_tried": 30})
    assert Counts.of_progress(progress, 300).missing == 40


def test_a_note_survives_its_way_through_airflow() -> None:
    """As JSON and back it is the same."""
    note = FailureNote(
        task_id="fetch", map_index=2, error="Tripped", message="…", counts=Counts(total=3, causes={"null": 1})
    )
    assert msgspec.convert(msgspec.to_builtins(note), FailureNote) == note
