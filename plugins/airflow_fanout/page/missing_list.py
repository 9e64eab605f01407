"""Which parameters of a run have no good result, from its journal: masked, unless the report shows them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from airflow_fanout.errors import FanoutError
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.kept_rows import KeptRows
from airflow_fanout.page.missing_rows import MissingRow, RowFile, folded
from airflow_fanout.privacy.redaction import redact, without_secrets
from airflow_fanout.privacy.telling import words_of
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest, read_manifest, read_parameters
from airflow_fanout.staging.results import Results, contents_of
from airflow_fanout.validation.verdict import cut, show

KEPT = KeptRows()


class MissingList(msgspec.Struct, frozen=True, kw_only=True):
    """A run's list, of which some parameters have no good result.

    :param shown: whether the report shows its parameters as they are.
    :param accepted: the kinds of outcome that the report takes as good.
    """

    directory: ListDirectory
    shown: bool
    accepted: frozenset[str]

    def rows(self, search: str = "") -> RowFile:
        """Return a row for each such parameter, those without any outcome last.

        The journal is read by whoever looks first, and again when it has changed.

        :param search: a text that a row must have, whatever its case; what is masked isn't searched.
        :raises NotShown: if the list or the journal can't be read.
        """
        try:
            manifest = read_manifest(self.directory)
            contents = contents_of(self.directory, manifest)
            key = (str(self.directory), manifest.digest, contents, self.shown, self.accepted)
            rows = KEPT.get(key, lambda: RowFile(self._rows(manifest)))
            return KEPT.get((*key, folded(search)), lambda: RowFile(rows.matching(search))) if search else rows
        except FanoutError as error:
            raise NotShown(f"The results can't be read. {redact(str(error))}", 409) from error
        except OSError as error:
            reason = f"{error.filename or 'a temporary file'}: {error.strerror or type(error).__name__}"
            raise NotShown(f"The results can't be read: {redact(reason)}.", 409) from error

    def _rows(self, manifest: Manifest) -> Iterator[MissingRow]:
        results = Results(self.directory, manifest)
        yield from map(self._row, results.refused(self.accepted))
        parameters = read_parameters(self.directory, range(manifest.count))
        # Both go upwards: no more than one parameter is in memory.
        for index in results.missing():
            parameter = show(next(value for at, value in parameters if at == index), shown=self.shown)
            kind, message = str(Kind.NOT_TRIED), "The run ended before it was requested."
            yield MissingRow(index=index, parameter=parameter, kind=kind, message=message)

    def _row(self, record: Record) -> MissingRow:
        failure, message = record.failure, ""
        if failure is not None:
            words = words_of(failure, kind=record.kind, status=record.status, parameter=record.parameter)
            message = _without_secrets(f"{failure.type}: {cut(failure.message if self.shown else words)}")
        return MissingRow(
            index=record.index,
            parameter=show(record.parameter, shown=self.shown),
            kind=str(record.kind),
            status=record.status,
            attempts=record.attempts,
            message=message,
        )


@lru_cache(maxsize=1_000)
def _without_secrets(message: str) -> str:
    # Looking for them takes longer than all the rest, and many parameters have failed of the same.
    return without_secrets(message)
