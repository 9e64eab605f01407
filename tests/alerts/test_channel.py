from __future__ import annotations

import logging
from threading import Barrier
from typing import Any

import msgspec
import pytest
from airflow.sdk import BaseNotifier

from airflow_fanout.alerts.message import Alert, Say
from airflow_fanout.errors import BadSetting
from airflow_fanout.notifications.alerts import Alerts
from airflow_fanout.notifications.channel import Channel, WrittenChannel, send
from airflow_fanout.notifications.deadline import LoadedBy

ALERT = Alert("It has failed", (Say("a < b"),))
SENT: list[str] = []
BOTH = Barrier(2, timeout=10)


class Keeping(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text

    def notify(self, _context: Any) -> None:
        SENT.append(self.text)


class Failing(Keeping):
    def notify(self, _context: Any) -> None:
        raise ConnectionRefusedError("nobody listens")


class Meeting(Keeping):
    def notify(self, _context: Any) -> None:
        BOTH.wait()
        SENT.append(self.text)


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    SENT.clear()


def test_the_macro_is_there_in_a_context_that_has_none() -> None:
    """Airflow gives the callback of a deadline a run and nothing else."""
    Channel(Keeping, text="{{ macros.fanout.alert().subject }}: {{ macros.fanout.alert().html }}").send(ALERT, {})
    (sent,) = SENT
    assert sent.startswith("It has failed: <!doctype html>")
    assert ">a &lt; b</p>" in sent


def test_each_message_is_rendered_anew() -> None:
    """A channel that has sent one message sends the next one's own text."""
    channel = Channel(Keeping, text="{{ macros.fanout.alert().subject }}")
    for subject in ("one", "two"):
        channel.send(Alert(subject, ()), {})
    assert SENT == ["one", "two"]


def test_a_channel_that_fails_is_logged_and_keeps_no_other_back(caplog: pytest.LogCaptureFixture) -> None:
    """The others send; the log says which one couldn't, what, and why."""
    with caplog.at_level(logging.ERROR, logger="airflow_fanout"):
        send([Channel(Failing), Channel(Keeping, text="sent")], ALERT, {})
    assert SENT == ["sent"]
    (record,) = [record for record in caplog.records if record.name == "airflow_fanout.notifications.channel"]
    assert record.getMessage() == "Channel(Failing) could not be sent: It has failed"
    assert record.exc_info is not None


def test_channels_dont_wait_for_each_other() -> None:
    """Two that each wait for the other to begin are both done."""
    send([Channel(Meeting, text="a"), Channel(Meeting, text="b")], ALERT, {})
    assert sorted(SENT) == ["a", "b"]


def test_a_channel_survives_its_way_through_airflows_database() -> None:
    """As JSON and back it sends the same."""
    there = Channel(Keeping, text="{{ macros.fanout.alert().subject }}")
    msgspec.convert(msgspec.to_builtins(there.written()), WrittenChannel).channel().send(ALERT, {})
    assert SENT == ["It has failed"]


def test_a_deadline_survives_its_way_through_airflows_database() -> None:
    """As JSON and back it is the same time in the same zone."""
    there = LoadedBy("08:00", "Europe/Berlin")
    assert LoadedBy.deserialize_reference(there.serialize_reference()) == there
    assert there != LoadedBy("08:00", "UTC")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Channel(Keeping()), "Channel is .*its class, not an object"),
        (lambda: Channel(Keeping, txt="x"), r"Channel\(Keeping\) is \['txt'\].*txt"),
        (lambda: Channel(Keeping, text=object()), "JSON can hold"),
        (Alerts, "at least one Channel"),
        (lambda: Alerts(Keeping()), "Alerts is"),
        (lambda: Alerts(Channel(Keeping)).not_loaded_by("8"), "at is '8'"),
        (lambda: Alerts(Channel(Keeping)).not_loaded_by("08:00", timezone="Mars"), "timezone is 'Mars'"),
    ],
)
def test_what_cant_work_is_refused_where_it_is_written(make: Any, said: str) -> None:
    """As an import error of the DAG's file, not on the night when a run fails."""
    with pytest.raises(BadSetting, match=said):
        make()
