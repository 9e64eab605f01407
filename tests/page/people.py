"""Who may log in to the prepared Airflow: the roles of its FAB auth manager, and a user of each."""

from __future__ import annotations

import json

AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
READABLE_FOR_OUTSIDER = "account_balances"
_RUNS, _LOGS = ("DAG Runs", "Task Instances", "XComs"), "Task Logs"
# What a role may read, by FAB's names for it. Each role may open Airflow, and see its Plugins.
MAY_READ = {
    "Balances": (f"DAG:{READABLE_FOR_OUTSIDER}", *_RUNS, _LOGS),
    "Without logs": ("DAGs", *_RUNS),
    "Without runs": ("DAGs", _LOGS),
    "Nothing": (),
}
# A user's name, which is its password, too -> its role; the first two are FAB's own.
USERS = {
    "admin": "Admin",
    "viewer": "Viewer",
    "outsider": "Balances",
    "nologs": "Without logs",
    "noruns": "Without runs",
    "nothing": "Nothing",
}


def login_config() -> dict[str, str]:
    """Return the settings of an Airflow whose rights FAB keeps."""
    roles = {
        role: [{"action": "can_read", "resource": name} for name in ("Website", "Plugins", *names)]
        for role, names in MAY_READ.items()
    }
    # A right that somebody gets counts at once, and not only after half a minute.
    return {"core.auth_manager": AUTH_MANAGER, "fab.custom_roles": json.dumps(roles), "fab.cache_ttl": "1"}


def add_people() -> None:
    """Make the roles and the users, in an Airflow's own environment, as FAB's command line does."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        builder.sm.sync_roles()
        for name, role in USERS.items():
            mail = f"{name}@example.org"
            assert builder.sm.add_user(name, name, "Example", mail, builder.sm.find_role(role), password=name), name
