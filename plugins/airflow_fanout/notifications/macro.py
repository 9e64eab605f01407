"""The macro `macros.fanout.alert()`."""

from __future__ import annotations

from collections.abc import Mapping
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
