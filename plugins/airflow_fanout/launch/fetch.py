"""One fetch: its engines run to their end, and whoever listens hears how far they are. Nothing here knows Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext

from msgspec.structs import replace

from airflow_fanout.launch.ending import given_up, progress_at_end
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.keeper import Keeper, Renewing, message_of
from airflow_fanout.launch.keepers import FIRST_S, Keepers
from airflow_fanout.launch.messages import DamagedPart, Ended, Failed, FetchMessage, ProgressReport
from airflow_fanout.launch.plan import Shard
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.launch.stop_reasons import ConnectionsStopped, Finished
from airflow_fanout.launch.upload import FINISH_S, Upload
from airflow_fanout.model.progress import Progress


class Fetch:
    """Fetches a part of a list. `progress` is the newest that the engines have reported, `None` before the first.

    :param hear: takes each message of the engines.
    :param login: renews the credentials of the job's endpoint; nobody does if not given.
    :param upload: puts what the job's engines write where the part is; nothing does if they write there themselves.
    :param reserver: reserves the slots of the request budget that the job names.
    :param logins: those of the connections that the parameters name, by their ids, if they do.
    :param first_s: how long the first credentials of all connections are waited for.
    """

    def __init__(
        self,
        part: Shard,
        job: Job,
        hear: Callable[[FetchMessage], None],
        login: Renewing | None = None,
        upload: Upload | None = None,
        reserver: Reserver | None = None,
        logins: Mapping[str, Renewing] | None = None,
        *,
        first_s: float = FIRST_S,
    ) -> None:
        self._part, self._job, self._hear, self._login, self._upload = part, job, hear, login, upload
        self._reserver = reserver
        self._logins, self._first_s = logins, first_s
        self._engines: Engines | None = None
        self.progress: Progress | None = None

    def run(self, connection: str) -> Progress:
        """Run the engines to their end, mark the part's generation as complete, and return the last progress.

        :param connection: what the API's connection is called in a sentence, if there is one.
        :raises LongWait: when the API asks for a longer wait than the task keeps its worker slot.
        :raises NotPutUp: when the results can't be put into the object storage.
        :raises FanoutError: for whatever else ended the fetch before all had an outcome; see `launch.errors`.
        """
        # Of an empty list nothing is sent, and its fields are unknown: the engine would refuse the request's.
        listen = self._listen if self._logins is None else self._listen_to_several
        progress = listen(connection) if self._job.indexes else Progress(total=0)
        if self._upload is not None:
            self._upload.finish(FINISH_S)
        generation = self._part.directory.shard(self._part.shard).generation(self._job.generation)
        generation.mark_complete(progress.summary())
        return progress

    def stop(self) -> None:
        """Ask the engines to stop, from whatever thread or signal; without any, do nothing."""
        if self._engines is not None:
            self._engines.ask_to_stop()

    def _listen(self, connection: str) -> Progress:
        last: Ended | Failed | None = None
        failures: list[BaseException] = []
        keeper, job = None, self._job
        if self._login is not None:
            keeper, newest = Keeper(self._login), message_of(self._login.current)
            job = replace(job, endpoint=newest.endpoint, terms=newest.terms)
        reserver = self._reserver
        used = reserver.heard if reserver else None
        refused = keeper.refused if keeper else None
        self._engines = engines = Engines(job, lambda renewal, _conn_id: refused(renewal) if refused else None, used)
        self._confirm(engines)
        # It says goodbye when no engine has a request under way any more.
        reserving = reserver.reserving(engines.give) if reserver else nullcontext()
        with reserving, engines, keeper.renewing(engines.take) if keeper else nullcontext():
            for message in engines.listen():
                last = self._heard(message) or last
                if failures := [each.failure for each in (keeper, reserver) if each and each.failure]:
                    engines.ask_to_stop()
            is_done = isinstance(last, Ended) and isinstance(last.reason, Finished)
            if failures and not is_done:
                raise failures[0]
            return progress_at_end(last, engines, connection)

    def _listen_to_several(self, _connection: str) -> Progress:
        """Run the engine that asks several connections; what is wrong with one of them ends none of the others."""
        last: Ended | Failed | None = None
        keepers = Keepers(self._logins or {}, self._job.connection_text, self._first_s)
        self._engines = engines = Engines(replace(self._job, connections=keepers.first()), keepers.refused)
        self._confirm(engines)
        with engines, keepers.renewing(engines.take):
            for message in engines.listen():
                last = self._heard(message) or last
            if isinstance(last, Ended) and isinstance(last.reason, ConnectionsStopped):
                raise given_up(last.progress, last.reason.stopped, len(self._logins or {}), keepers.failures)
            return progress_at_end(last, engines)

    def _confirm(self, engines: Engines) -> None:
        """Let engines know which of their notes about jobs are in the object storage, if there is one."""
        if self._upload is not None:
            self._upload.confirm = engines.take

    def _heard(self, message: FetchMessage) -> Ended | Failed | None:
        """Pass on what an engine says; return it if it is its last word."""
        if isinstance(message, ProgressReport | Ended):
            # What the engines don't know.
            status = self._reserver.view.status if self._reserver else None
            self.progress = replace(message.progress, budget=status)
            message = replace(message, progress=self.progress)
        if self._upload is not None and isinstance(message, DamagedPart):
            # As it is known where the part is put.
            message = DamagedPart(self._upload.put_aside(message.path))
        self._hear(message)
        # An engine that has failed itself has no progress to tell.
        return message if isinstance(message, Ended | Failed) else None
