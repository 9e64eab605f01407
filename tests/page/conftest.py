"""An API server of Airflow's, with prepared runs in its database, and a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import pytest
import requests

from harness.airflow import AirflowHome, environment
from harness.airflow.home import COMMAND, initialise
from harness.processes import Kept, free_port
from harness.s3 import S3Server
from tests.page import browser as browsers
from tests.page.browser import Browser
from tests.page.people import login_config
from tests.page.teams import STAGING, TEAM

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Prepared:
    """The API server: its address, its home, and how to log in."""

    url: str
    home: AirflowHome
    env: dict[str, str]
    _tokens: dict[str, str] = field(default_factory=dict)

    def session(self, user: str | None = None) -> requests.Session:
        """Return a session of a user's, or of nobody's."""
        session = requests.Session()
        session.trust_env = False
        if user is not None:
            session.headers["Authorization"] = f"Bearer {self.token(user)}"
        return session

    def token(self, user: str) -> str:
        """Return a token that opens Airflow for a user."""
        if user not in self._tokens:
            login = {"username": user, "password": user}
            answer = requests.post(f"{self.url}/auth/token", json=login, timeout=60)
            self._tokens[user] = str(answer.json()["access_token"])
        return self._tokens[user]

    def run_address(self, dag_id: str) -> str:
        """Return the address of the newest run's page, without Airflow around it."""
        runs = self.session("admin").get(
            f"{self.url}/api/v2/dags/{dag_id}/dagRuns", params={"order_by": "-run_after", "limit": 1}, timeout=60
        )
        [run] = runs.json()["dag_runs"]
        run_id = quote(run["dag_run_id"], safe="")
        return f"{self.url}/fanout/page?dag_id={dag_id}&run_id={run_id}"

    def statements(self, *dag_ids: str) -> dict[str, dict[str, int]]:
        """Return how many statements the newest run of DAGs and their histories take, counted in another process."""
        command = (sys.executable, "-m", "tests.page.counting", *dag_ids)
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=True)
        counts: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
        return counts


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[Prepared]:
    """The API server, with a year of one report, and runs in all the states that the page shows."""
    place = tmp_path_factory.mktemp("page")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    home = AirflowHome(
        directory=place / "home",
        dags=place / "dags",
        plugins=ROOT / "plugins",
        config={**login_config(), f"{TEAM}___fanout.staging": STAGING},
        port=port,
    )
    home.dags.mkdir()
    shutil.copy(Path(__file__).with_name("dags") / "prepared.py", home.dags)
    initialise(home)
    env = environment(home, port=port)
    seeding = (sys.executable, "-m", "tests.page.seeding", str(home.directory / "fanout"))
    for command in ((*COMMAND, "dags", "reserialize"), (*seeding, json.dumps(s3.options), s3.connection)):
        done = subprocess.run(command, env=env, cwd=home.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    log = home.logs / "api-server.log"
    kept = Kept.start((*COMMAND, "api-server", "--apps", "core"), env=env, cwd=home.directory, log=log)
    try:
        _wait_for(url, kept, log)
        yield Prepared(url, home, env)
    finally:
        kept.stop(1.5)


def _wait_for(url: str, kept: Kept, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while kept.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/api/v2/version", timeout=10).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-3_000:])


Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen]) -> Seen:
    """Look again and again until there is something true, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return seen


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsers.browser(tmp_path_factory.mktemp("chromium")) as window:
        yield window


@pytest.fixture
def chromium(_chromium: Browser, prepared: Prepared) -> Browser:
    """The window, logged in as the administrator."""
    log_in(_chromium, prepared, "admin")
    # What the pages of an earlier test have left in the browser's log is read, and so isn't this test's.
    _chromium.log()
    return _chromium


def log_in(window: Browser, prepared: Prepared, user: str) -> None:
    """Be a user from now on: the token is the cookie that Airflow's own login leaves."""
    window.open(f"{prepared.url}/api/v2/version")
    window.cookie("_token", prepared.token(user))
