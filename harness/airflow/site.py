"""Where a running Airflow is found: what another process than its owner needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.airflow.client import AirflowClient
from harness.airflow.home import LOOPBACK, AirflowHome
from harness.airflow.keys import ROLES, load_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class AirflowSite:
    """The home of a running Airflow, and its ports for people and for tasks; it can be sent to another process."""

    home: AirflowHome
    port: int
    execution_port: int

    @property
    def url(self) -> str:
        """The address of the user interface, and of the REST interface below it."""
        return f"http://{LOOPBACK}:{self.port}{self.home.path}"

    @property
    def logins(self) -> dict[str, str]:
        """The password of each user; a user is named like its role."""
        return load_keys(self.home.directory).passwords

    def log(self, name: str) -> Path:
        """The file that a component writes to."""
        return self.home.logs / f"{name}.log"

    def client(self, user: str = ROLES[0], *, check: Callable[[], None] = lambda: None) -> AirflowClient:
        """Return a session of the user's with the REST interface, logged in; its owner closes it."""
        return AirflowClient(self.url, check=check).log_in(user, self.logins[user])
