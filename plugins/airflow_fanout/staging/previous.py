"""The results of a report's last good run, by their requests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress

import msgspec

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import FanoutError
from airflow_fanout.model.outcome import Kind, Validators
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.results import Results
from airflow_fanout.staging.validated import read_validated

# How many results are written at once.
TOGETHER = 1_000


class Previous(msgspec.Struct, frozen=True):
    """A result of the last good run, and what tells whether it is still right.

    :param content: the result, as JSON.
    """

    validators: Validators
    content: bytes

    @property
    def result(self) -> Json:
        """The result."""
        return codec.decode_known(self.content)


class PreviousResults:
    """Results by the digests of their requests, in a temporary file of SQLite's own, which nobody else can open.

    The memory that it takes is the same for any number of them.
    """

    def __init__(self) -> None:
        # https://www.sqlite.org/inmemorydb.html: an empty name is a temporary database, which is removed by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("create table results (request text primary key, validators blob, content blob)")
        self.count = 0

    def fill(self, directory: ListDirectory, step: Callable[[], None]) -> None:
        """Take the results of a list that has passed validation.

        :param step: called once in a while.
        :raises FanoutError: when they can't be read, or aren't as they were judged.
        """
        manifest = read_manifest(directory)
        judged = read_validated(directory, manifest.id)
        if judged is None:
            return
        rows: list[tuple[str, bytes, bytes]] = []
        for number, record in enumerate(Results(directory, manifest, judged).records()):
            if number % TOGETHER == 0:
                step()
                self._insert(rows)
                rows = []
            if record.kind is Kind.OK and record.validators is not None:
                validators = record.validators
                rows.append((validators.of, codec.encode(msgspec.to_builtins(validators)), codec.encode(record.result)))
        self._insert(rows)

    def _insert(self, rows: list[tuple[str, bytes, bytes]]) -> None:
        self._database.execute("begin")
        self._database.executemany("insert or replace into results values (?, ?, ?)", rows)
        self._database.execute("commit")
        self.count += len(rows)

    def clear(self) -> None:
        """Forget all."""
        self._database.execute("delete from results")
        self.count = 0

    def find(self, request: str) -> Previous | None:
        """Return the result of a request; `None` if there is none.

        :param request: the request's digest.
        """
        row = self._database.execute("select validators, content from results where request = ?", (request,)).fetchone()
        if row is None:
            return None
        return Previous(msgspec.convert(codec.decode_known(row[0]), Validators), row[1])


def last_good_list(directory: ListDirectory) -> ListDirectory | None:
    """Return the newest list of the same report, of another run, that has passed validation; `None` if none is there.

    A run for a part of the source doesn't count.
    """
    newest: tuple[str, ListDirectory] | None = None
    for key in layout.report_in_other_runs(directory.key, directory.store.names):
        # What can't be read is no run to compare with.
        with suppress(FanoutError, OSError):
            listed = ReportDirectory(directory.store, key).newest_list()
            if listed is None:
                continue
            manifest = read_manifest(listed)
            if manifest.partial or read_validated(listed, manifest.id) is None:
                continue
            if newest is None or manifest.as_of > newest[0]:
                newest = (manifest.as_of, listed)
    return newest and newest[1]
