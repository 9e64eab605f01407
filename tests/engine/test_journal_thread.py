"""What a kill of the engine may cost: no record waits in memory for more than a beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent

from airflow_fanout.engine.journal_thread import BEAT_S, JournalThread
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.staging.journal import JournalWriter, read_places
from tests.staging.places import try_at

if TYPE_CHECKING:
    from pathlib import Path


def test_a_record_is_written_though_nothing_is_full(tmp_path: Path) -> None:
    """Each beat writes what is there, however little; a beat is at most half a second."""
    assert BEAT_S <= 0.5
    attempt = try_at(tmp_path)
    scribe = JournalThread(JournalWriter(attempt))
    writing = gevent.spawn(scribe.run)
    record = Record(index=0, kind=Kind.OK, attempts=1, ms=1, parameter="a", result=1)
    for written in range(1, 4):
        scribe.extend([record])
        with gevent.Timeout(60):
            while sum(len(list(read_places(part))) for part in attempt.parts()) < written:
                gevent.sleep(0.01)
    writing.kill()
    scribe.close()


def test_records_may_be_written_at_once(tmp_path: Path) -> None:
    """Then `extend` returns when the operating system has them, so that a kill right after it costs nothing."""
    attempt = try_at(tmp_path)
    scribe = JournalThread(JournalWriter(attempt), at_once=True)
    writing = gevent.spawn(scribe.run)
    record = Record(index=0, kind=Kind.OK, attempts=1, ms=1, parameter="a", result=1)
    with gevent.Timeout(60):
        for written in range(1, 4):
            gevent.joinall([gevent.spawn(scribe.extend, [record]) for _ in range(3)], raise_error=True)
            assert sum(len(list(read_places(part))) for part in attempt.parts()) == 3 * written
    writing.kill()
    scribe.close()
