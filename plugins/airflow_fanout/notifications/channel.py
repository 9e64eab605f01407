"""A channel: one of Airflow's notifiers, built for each message."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import msgspec
from airflow.sdk import BaseNotifier

from airflow_fanout import codec
from airflow_fanout.alerts.message import Alert
from airflow_fanout.errors import BadSetting
from airflow_fanout.notifications import macro

log = logging.getLogger(__name__)


class Channel:
    """A way on which alerts go out: a notifier of Airflow's, and its arguments.

    In the arguments `{{ macros.fanout.alert().subject }}`, `.text` and `.html` are the message. A notifier by itself
    would render them once and for all: of two runs that fail together, it would send the first one's message twice.

    :param notifier: a class, such as `SmtpNotifier`, `HttpNotifier`, `SlackWebhookNotifier`.
    :param arguments: its arguments, as JSON can hold them. No secrets: those belong into the connection.
    """

    def __init__(self, notifier: type[BaseNotifier], **arguments: Any) -> None:
        if not (isinstance(notifier, type) and issubclass(notifier, BaseNotifier)):
            raise BadSetting("Channel", notifier, "one of Airflow's notifiers: its class, not an object of it")
        self.notifier = notifier
        self.arguments = arguments
        # Here, where the DAG is written: when a run has failed, nobody would see it.
        try:
            notifier(**arguments)
            codec.encode(arguments)
        except (TypeError, ValueError) as error:
            problem = f"arguments that the notifier takes and JSON can hold ({error})"
            raise BadSetting(f"Channel({notifier.__name__})", [*arguments], problem) from error

    def __repr__(self) -> str:
        return f"Channel({self.notifier.__name__})"

    def written(self) -> WrittenChannel:
        """Return the channel as a callback of Airflow's keeps it."""
        return WrittenChannel(f"{self.notifier.__module__}.{self.notifier.__qualname__}", self.arguments)

    def send(self, alert: Alert, context: Mapping[str, Any]) -> bool:
        """Send an alert, and return whether that was possible; a failure is logged and changes nothing else."""
        try:
            # A context of Airflow's that knows no task, or that of a deadline, has no macros at all.
            macros = context.get("macros") or SimpleNamespace(fanout=SimpleNamespace(alert=macro.alert))
            self.notifier(**self.arguments)({**context, "macros": macros, macro.HELD: alert})
        except Exception:
            log.exception("%r could not be sent: %s", self, alert.subject)
            return False
        log.info("%r has sent: %s", self, alert.subject)
        return True


class WrittenChannel(msgspec.Struct, frozen=True):
    """A channel in Airflow's database, until a deadline is missed.

    :param notifier: the notifier's class, by module and name.
    """

    notifier: str
    arguments: dict[str, Any]

    def channel(self) -> Channel:
        """Return the channel that was written."""
        from airflow.sdk._shared.module_loading import import_string

        return Channel(import_string(self.notifier), **self.arguments)


def send(channels: Sequence[Channel], alert: Alert, context: Mapping[str, Any]) -> None:
    """Send an alert on all channels at once: one that hangs doesn't keep the others back."""
    with ThreadPoolExecutor(len(channels)) as each:
        list(each.map(lambda channel: channel.send(alert, context), channels))
