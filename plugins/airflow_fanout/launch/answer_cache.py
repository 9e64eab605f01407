"""A cache of results for development: what one run has fetched, the next one doesn't ask for again.

It is filled and read around a fetch. What it has goes into the journal before the engines start, as if an earlier try
had brought it, so that they ask for the rest.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.connections import ConnectionName
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.plan import Shard
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.frozen import read_parameters
from airflow_fanout.staging.journal import JournalWriter, Snapshot
from airflow_fanout.staging.resume import resume

SETTING = "[fanout] answer_cache"
NAME = "answers.sqlite"
# A cache that somebody has forgotten doesn't serve for ever.
KEPT_S = 7 * 86_400.0
# Other tasks write their results at the same time.
WAIT_S = 60.0
TOGETHER = 1_000
# What of a job says how it is fetched, and not what: an answer doesn't depend on it. Of the endpoint, its address does.
OF_ONE_FETCH = frozenset(
    {
        *("directory", "start", "stop", "shard", "generation", "endpoint", "settings", "path", "attempt"),
        *("process", "processes", "previous", "part_age_s", "fatal", "budget", "connection_text", "connections"),
    }
)


class AnswerCache:
    """Good results by what they are the answer to, in one file of a folder.

    :param folder: an absolute path; it is made if it isn't there.
    :param clock: the time, in seconds since 1970.
    :raises BadSetting: when it can't be such a folder.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        self._folder = Path(folder)
        self._clock = clock
        if not self._folder.is_absolute():
            raise BadSetting(SETTING, folder, "the absolute path of a folder")
        with self._errors():
            self._folder.mkdir(PRIVATE, parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._folder / NAME, timeout=WAIT_S, isolation_level=None)
            (self._folder / NAME).chmod(PRIVATE & 0o666)
            self._database.execute(
                "create table if not exists answers (request blob primary key, kept_at real, status integer, "
                "result blob)"
            )
            self._database.execute("delete from answers where kept_at < ?", (self._clock() - KEPT_S,))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            problem = "a folder, but something else is there"
        except sqlite3.Error as error:
            problem = f"a folder whose {NAME} can be read and written ({error}); remove that file to begin a new cache"
        else:
            return
        raise BadSetting(SETTING, str(self._folder), problem)

    def restore(self, part: Shard, job: Job) -> int:
        """Write what the cache has of a job into its journal, and return of how many parameters."""
        generation = part.directory.shard(job.shard).generation(job.generation)
        finished, _ = resume(generation, part.indexes, part.manifest.id)
        key_of, restored, journal = _keys(job), 0, None
        with self._errors():
            for index, parameter in read_parameters(part.directory, part.indexes):
                if index in finished:
                    continue
                key = key_of(parameter)
                row = self._database.execute("select status, result from answers where request = ?", (key,)).fetchone()
                if row is None:
                    continue
                if journal is None:
                    journal = JournalWriter(generation.new_try(), list_id=part.manifest.id)
                outcome = Outcome(Kind.OK, codec.decode_known(row[1]), row[0])
                journal.append(Record.of(index, parameter, outcome, 0, 0.0))
                restored += 1
                if restored % TOGETHER == 0:
                    journal.flush()
        if journal is not None:
            journal.close()
        return restored

    def keep(self, part: Shard, job: Job) -> None:
        """Take the good results of a job from its journal."""
        key_of, now = _keys(job), self._clock()
        records = Snapshot(part.directory.shard(job.shard).generation(job.generation), part.manifest.id)
        rows = (
            (key_of(record.parameter), now, record.status, codec.encode(record.result))
            for record in records
            # What was asked for with no attempt came from here: it keeps its age.
            if record.kind is Kind.OK and record.attempts
        )
        with self._errors():
            self._database.execute("begin immediate")
            self._database.executemany("insert or replace into answers values (?, ?, ?, ?)", rows)
            self._database.execute("commit")

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _keys(job: Job) -> Callable[[Json], bytes]:
    """Return what gives a parameter's key: its answer depends on the API, the request and the author's functions."""
    asked = {name: getattr(job, name) for name in job.__struct_fields__ if name not in OF_ONE_FETCH}
    request = msgspec.to_builtins(asked, enc_hook=list)
    identities = {conn_id: codec.canonical([endpoint.base_url, request]) for conn_id, endpoint in job.endpoints.items()}
    conn_id_of = ConnectionName(job.connection_text).of if job.connections else lambda _parameter: ""

    def key_of(parameter: Json) -> bytes:
        return hashlib.sha256(identities[conn_id_of(parameter)] + b"\n" + codec.canonical(parameter)).digest()

    return key_of
