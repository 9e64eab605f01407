"""One fetch: its engines run to their end, and whoever listens hears how far they are. Nothing here knows Airflow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from msgspec.structs import replace

from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.keeper import Keeper, Renewing, message_of
from airflow_fanout.launch.messages import DamagedPart, Ended, Failed, FetchMessage, Finished, ProgressReport
from airflow_fanout.launch.plan import Shard
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.launch.upload import FINISH_S, Upload
from airflow_fanout.model.progress import Progress


class Fetch:
    """Fetches a part of a list. `progress` is the newest that the engines have reported, `None` before the first.

    :param hear: takes each message of the engines.
    :param login: renews the credentials of the job's endpoint; nobody does if not given.
    :param upload: puts what the job's engines write where the part is; nothing does if they write there themselves.
    :param reserver: reserves the slots of the request budget that the job names.
    """

    def __init__(
        self,
        part: Shard,
        job: Job,
        hear: Callable[[FetchMessage], None],
        login: Renewing | None = None,
        upload: Upload | None = None,
        reserver: Reserver | None = None,
    ) -> None:
        self._part, self._job, self._hear, self._login, self._upload = part, job, hear, login, upload
        self._reserver = reserver
        self._engines: Engines | None = None
        self.progress: Progress | None = None

    def run(self, connection: str) -> Progress:
        """Run the engines to their end, mark the part's generation as complete, and return the last progress.

        :param connection: what the API's connection is called in a sentence.
        :raises LongWait: when the API asks for a longer wait than the task keeps its worker slot.
        :raises NotPutUp: when the results can't be put into the object storage.
        :raises FanoutError: for whatever else ended the fetch before all had an outcome; see `launch.errors`.
        """
        # Of an empty list nothing is sent, and its fields are unknown: the engine would refuse the request's.
        progress = self._listen(connection) if self._job.indexes else Progress(total=0)
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
        self._engines = engines = Engines(job, keeper.refused if keeper else None, used)
        # It says goodbye when no engine has a request under way any more.
        reserving = reserver.reserving(engines.give) if reserver else nullcontext()
        with reserving, engines, keeper.renewing(engines.take) if keeper else nullcontext():
            for message in engines.listen():
                if isinstance(message, ProgressReport | Ended):
                    self.progress = message.progress
                if isinstance(message, Ended | Failed):
                    # An engine that has failed itself has no progress to tell.
                    last = message
                if self._upload is not None and isinstance(message, DamagedPart):
                    message = DamagedPart(self._upload.put_aside(message.path))  # noqa: PLW2901 - as it is known there
                if failures := [each.failure for each in (keeper, reserver) if each and each.failure]:
                    engines.ask_to_stop()
                self._hear(message)
            is_done = isinstance(last, Ended) and isinstance(last.reason, Finished)
            if failures and not is_done:
                raise failures[0]
            return progress_at_end(last, engines, connection)
