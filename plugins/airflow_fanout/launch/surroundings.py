"""The environment variables that the engine gets: the parent's, without Airflow's own."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Connections, Variables and the whole configuration, with its keys and the address of the metadata database; the
# images' entrypoints have more of them, with underscores in front. The engine has no Airflow that could read any.
_AIRFLOWS = re.compile(r"_*AIRFLOW_", re.IGNORECASE)
# Where Airflow lives, and what it says of the running task (names and dates).
_HARMLESS = re.compile(r"AIRFLOW_HOME|AIRFLOW_CTX_")


def without_airflow(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are none of Airflow's; what an author has set for the functions stays."""
    return {name: value for name, value in variables.items() if not _AIRFLOWS.match(name) or _HARMLESS.match(name)}
