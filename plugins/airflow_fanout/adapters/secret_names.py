"""Which names are those of secrets, as Airflow is configured."""

from __future__ import annotations

from airflow.sdk.configuration import conf


def secret_names() -> list[str]:
    """Return the parts of names whose values Airflow hides, in small letters: `[core] sensitive_var_conn_names`."""
    names = (conf.get("core", "sensitive_var_conn_names", fallback="") or "").split(",")
    return [part for name in names if (part := name.strip().lower())]
