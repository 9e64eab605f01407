from __future__ import annotations

import os
import signal
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient, WriteConcern

from harness.mongod import LOG_NAME, Mongod, MongodNotFound, MongodNotStarted, find_mongod, mongo_uri_or_embedded

if TYPE_CHECKING:
    from pathlib import Path

JOURNALED = WriteConcern(j=True)


def fake_mongod(folder: Path, script: str) -> Path:
    """Put a program named mongod into a folder for the PATH; it behaves as a broken server would."""
    path = folder / "mongod"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(scope="module")
def _mongod_runs() -> None:
    try:
        find_mongod()
    except MongodNotFound as missing:
        pytest.skip(str(missing))


pytestmark = pytest.mark.usefixtures("_mongod_runs")


def test_data_survives_sigkill(tmp_path: Path) -> None:
    """What was written is there after SIGKILL of the server and another start on its directory."""
    with Mongod.start(tmp_path) as first:
        with MongoClient[dict[str, Any]](first.uri) as client:
            client.get_database("demo", write_concern=JOURNALED).calls.insert_one({"_id": 1, "seconds": 37})
        os.kill(first.pid, signal.SIGKILL)
    assert (tmp_path / "mongod.lock").read_text(), "an orderly end would have emptied it"
    with Mongod.start(tmp_path) as second, MongoClient[dict[str, Any]](second.uri) as client:
        assert client.demo.calls.find_one() == {"_id": 1, "seconds": 37}


def test_stop_is_orderly(tmp_path: Path) -> None:
    """After stop() the server is gone and left no lock for the next start to recover from."""
    mongod = Mongod.start(tmp_path)
    mongod.stop()
    assert (tmp_path / "mongod.lock").read_text() == ""
    assert '"exitCode":0' in (tmp_path / LOG_NAME).read_text()


def test_replica_set_can_write_after_a_move(tmp_path: Path) -> None:
    """A replica set takes transactions, also when its next start is on another port."""
    for number in (1, 2):
        with (
            Mongod.start(tmp_path, replica_set="rs0") as mongod,
            MongoClient[dict[str, Any]](mongod.uri) as client,
            client.start_session() as session,
        ):
            with session.start_transaction():
                client.demo.calls.insert_one({"_id": number}, session=session)
            assert client.demo.calls.count_documents({}) == number


def test_directory_in_use_is_told(tmp_path: Path) -> None:
    """A directory that another server keeps is refused in mongod's own words, and that one serves on."""
    with Mongod.start(tmp_path) as first:
        with pytest.raises(MongodNotStarted, match="DBPathInUse") as failure:
            Mongod.start(tmp_path, busy_limit_s=0.2)
        with MongoClient[dict[str, Any]](first.uri) as client:
            assert client.admin.command("ping")["ok"] == 1
    assert failure.value.code == 100


def test_predecessor_that_still_ends_is_waited_for(tmp_path: Path) -> None:
    """A start on a directory whose server is just being stopped succeeds as soon as that one is gone."""
    with Mongod.start(tmp_path) as first, ThreadPoolExecutor() as threads:
        starting = threads.submit(Mongod.start, tmp_path)
        time.sleep(0.5)
        first.stop()
        with starting.result() as second:
            assert second.pid != first.pid


def test_port_in_use_is_told(tmp_path: Path) -> None:
    """A port that was asked for and is taken is not silently replaced by another."""
    with Mongod.start(tmp_path / "one") as first, pytest.raises(MongodNotStarted, match="code 48"):
        Mongod.start(tmp_path / "two", port=first.port)


def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If none runs, the error has each one's reason, the missing library's package, and the ways out."""
    error = "error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    fake_mongod(tmp_path, f"echo 'mongod: {error}' >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MongodNotFound) as failure:
        find_mongod(wheel="no-such-package")
    said = str(failure.value)
    assert "libcurl.so.4 is missing (Debian and Ubuntu: libcurl4)" in said
    assert "in the package no-such-package, there is none" in said
    assert "Set MONGO_URI" in said


def test_one_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mongod on the PATH that runs is taken before the wheel's."""
    path = fake_mongod(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_mongod() == path


def test_given_address_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With MONGO_URI set no server is started; without it, one is, and it is gone afterwards."""
    monkeypatch.setenv("MONGO_URI", "mongodb://192.0.2.1/")
    with mongo_uri_or_embedded(tmp_path) as uri:
        assert uri == "mongodb://192.0.2.1/"
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("MONGO_URI")
    with mongo_uri_or_embedded(tmp_path) as uri, MongoClient[dict[str, Any]](uri) as client:
        assert client.admin.command("ping")["ok"] == 1
    assert (tmp_path / "mongod.lock").read_text() == ""
