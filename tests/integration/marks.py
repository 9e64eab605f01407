"""Marked numbers, answers and credentials, an API that quotes them wherever it can, and the search for them."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Self
from urllib.parse import quote

import sqlalchemy

from harness.airflow import AirflowHome
from tests.http.servers import Connection, Seen, answer, as_json, redirect

NUMBER = "4477009001"
RESULT = "Wilhelmina Markwell"
TOKEN = "mk/T0k3n+of=the-api"
PASSWORD = "mk:Pa55?w0rd&of=bot"
KEY = "mk-H34d3r-key"
MONGO = "mk@M0ng0/pass"
MARKS: Mapping[str, str] = {
    "number": NUMBER,
    "result": RESULT,
    "token": TOKEN,
    "password": PASSWORD,
    "key": KEY,
    "mongo": MONGO,
}
# What is leaked on purpose, so that nobody takes it for a leak of another report.
LEAKED: Mapping[str, str] = {"leaked": "4477009008"}
# Where a person or Airflow itself keeps credentials.
KEPT_BY_AIRFLOW = frozenset({"connection", "variable"})


def api(seen: Seen, connection: Connection) -> bytes | None:
    """Answer by the path; whatever goes wrong quotes the request and its credentials."""
    what, _, number = seen.path.strip("/").partition("/")
    if "leak-wrong" in seen.headers.get("authorization", ""):
        return as_json({"error": _quoted(seen)}, f"401 Not for {number}")
    if what.startswith("list"):
        return _listed(what, seen)
    if what == "gone":
        connection.hang_up(reset=True)
    if what == "late":
        connection.pause(30)
    answers = {
        "good": as_json({"of": number, "name": RESULT, "same": RESULT}),
        "null": as_json(None),
        "page": answer(f"<html>{_quoted(seen)}</html>".encode()),
        "away": redirect(f"http://bot:{quote(PASSWORD)}@127.0.0.1:1/{number}?token={quote(TOKEN)}"),
    }
    refusal = as_json({"error": _quoted(seen)}, f"422 Not {number} by {TOKEN}", f"X-Echo: {number} {TOKEN}")
    return answers.get(what, refusal)


def _quoted(seen: Seen) -> str:
    return f"{seen.target} by {seen.headers.get('authorization')} for {RESULT}: {TOKEN} {PASSWORD}"


def _listed(what: str, seen: Seen) -> bytes:
    numbers = [f"+{NUMBER}{index:02d}" for index in range(8)]
    here = f"/{what}?after={quote(numbers[3])}&token={quote(TOKEN)}"
    if what == "list":
        is_last = "after" in seen.target
        return as_json({"items": numbers[4:] if is_last else numbers[:4], "next": None if is_last else here})
    if what == "list-else":
        return as_json({"people": numbers, "next": None, RESULT: TOKEN})
    if what == "list-again":
        return as_json({"items": numbers, "next": here})
    return as_json({"error": _quoted(seen)}, f"500 No list for {TOKEN}")


@dataclass(frozen=True)
class Found:
    """A mark, where it doesn't belong."""

    mark: str
    place: str
    around: str

    def __str__(self) -> str:
        return f"{self.mark} in {self.place}: {self.around}"


def forms(mark: str) -> Iterator[str]:
    """Yield a mark as it is, URL-encoded, JSON-escaped, and as the middle of something in base64."""
    yield from (mark, quote(mark), quote(mark, safe=""), json.dumps(mark)[1:-1])
    for place in range(3):
        encoded = base64.b64encode(b"\0" * place + mark.encode()).decode().rstrip("=")
        # The first and the last character hold bits of the neighbours.
        yield encoded[-(-place * 8 // 6) : -1]


def search(texts: Iterable[tuple[str, str]], marks: Mapping[str, str] = MARKS) -> list[Found]:
    """Return all marks in texts, which come with the place that they are from."""
    patterns = {name: re.compile("|".join(map(re.escape, {*forms(mark)}))) for name, mark in marks.items()}
    return [
        Found(name, place, text[max(0, found.start() - 80) : found.end() + 40])
        for place, text in texts
        for name, pattern in patterns.items()
        if (found := pattern.search(text))
    ]


def files(folder: Path, *, without: Iterable[Path] = ()) -> Iterator[tuple[str, str]]:
    """Yield all files below a folder, but for those below others."""
    left_out = tuple(without)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(file.is_relative_to(other) for other in left_out):
            yield str(file.relative_to(folder)), file.read_bytes().decode("utf-8", "replace")


def metadata(home: AirflowHome) -> Iterator[tuple[str, str]]:
    """Yield each row of Airflow's metadata database, as text, but for connections and Variables."""
    engine = sqlalchemy.create_engine(home.config["database.sql_alchemy_conn"])
    try:
        with engine.connect() as database:
            for table in sqlalchemy.inspect(engine).get_table_names():
                if table not in KEPT_BY_AIRFLOW:
                    quoted = f'"{table}"'
                    rows = database.execute(sqlalchemy.text(f"SELECT {quoted}::text FROM {quoted}"))
                    yield from ((f"table {table}", str(row[0])) for row in rows)
    finally:
        engine.dispose()


class Processes:
    """The command lines of all processes while the context lasts, and the environments of our engines."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def engines(self) -> int:
        """How many environments of engines were seen."""
        return sum(place == "environment of an engine" for place, _ in self._seen)

    def texts(self) -> list[tuple[str, str]]:
        """Return what was seen."""
        return sorted(self._seen)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                # A process may be gone by now.
                with suppress(OSError):
                    self._note(process)

    def _note(self, process: Path) -> None:
        if int(process.name) == os.getpid():
            return
        command = (process / "cmdline").read_text(errors="replace")
        self._seen.add(("command line", command))
        if "airflow_fanout/engine" in command:
            self._seen.add(("environment of an engine", (process / "environ").read_text(errors="replace")))
