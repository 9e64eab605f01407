"""The macro `macros.fanout.alert()`, and the context in which it finds its message."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from jinja2 import pass_context

from airflow_fanout.alerts.message import Alert

# Where a context holds the message that is being sent.
HELD = "fanout_alert"


@pass_context
def alert(context: Mapping[str, Any]) -> Alert:
    """Return the message about the run that a template is rendered for: its `subject`, `text` and `html`.

    The one that a channel sends; in a plain notifier's template, the message of a run that has failed.
    """
    if (held := context.get(HELD)) is not None:
        held_alert: Alert = held
        return held_alert
    from airflow_fanout.notifications.run import failed_alert

    return failed_alert(context)


def with_alert(message: Alert, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a context for one notifier, in which the macro gives this message."""
    # A context of Airflow's that knows no task, or that of a deadline, has no macros at all.
    macros = context.get("macros") or SimpleNamespace(fanout=SimpleNamespace(alert=alert))
    return {**context, "macros": macros, HELD: message}
