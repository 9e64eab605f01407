"""How a task logs in to an API: its Airflow connection is read, and read again after a refusal."""

from __future__ import annotations

from collections.abc import Callable

from airflow_fanout.adapters.connection import usable_endpoint_of
from airflow_fanout.adapters.variable_tokens import VariableTokens
from airflow_fanout.api.login import ApiLogin

# For so long a token endpoint may give no token, where nothing else says how long the API may be down.
OUTAGE_S = 300.0


def login_of(conn_id: str, *, note: Callable[[str], None], limit_s: float = OUTAGE_S) -> ApiLogin:
    """Return the login of a connection; its token, if it needs one, is got when somebody asks for it.

    Its connection may be read by another thread than the task's: Airflow's own requests to the task's supervisor follow
    each other.

    :param note: takes a sentence for the log.
    :param limit_s: for how long the token endpoint may give no token, in seconds.
    :raises BadConnection: as `usable_endpoint_of` does.
    """
    return ApiLogin(conn_id, lambda: usable_endpoint_of(conn_id), keeping=VariableTokens, limit_s=limit_s, note=note)
