"""What a load will meet at its MongoDB, looked at from another task, before anything is written."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from airflow_fanout.adapters.mongo import login_problems, target_problems
from airflow_fanout.mongo.modes import whole_key
from airflow_fanout.preflight.findings import Findings

if TYPE_CHECKING:
    from airflow_fanout.operators.load import MongoLoadOperator

log = logging.getLogger(__name__)
# How long one look may take. A server on the way back is asked again until the load's own patience ends.
ANSWER_S = 5.0
PAUSE_S = 1.0
# What a name service says of a host that it doesn't know, and OpenSSL of a certificate that it doesn't trust: no
# waiting cures these.
_HOPELESS = re.compile(
    r"Name or service not known|nodename nor servname|No address associated|CERTIFICATE_VERIFY_FAILED"
)


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """A target's names with their templates rendered."""

    database: str
    collection: str


def check_target(task_id: str, load: MongoLoadOperator, names: Names | None, findings: Findings) -> None:
    """Add what is wrong with a load's connection, with its user's rights and with the collection.

    :param names: `None` if they aren't known, or can't be right: then only the login is looked at.
    """
    from airflow_fanout.mongo.errors import MongoUnreachable

    try:
        findings.add(task_id, _patient(lambda: _problems(load, names), load))
    except MongoUnreachable as error:
        if _HOPELESS.search(error.why):
            findings.add(task_id, [str(error)])
        else:
            findings.unreachable.append(f"{task_id}: {error}")


def _problems(load: MongoLoadOperator, names: Names | None) -> list[str]:
    within_s = min(ANSWER_S, load.timeout_s)
    if names is None:
        return login_problems(load.mongo_conn_id, within_s=within_s)
    return target_problems(
        mongo_conn_id=load.mongo_conn_id,
        database=names.database,
        collection=names.collection,
        mode=load.mode,
        key=whole_key(load.as_of_field, load.key),
        within_s=within_s,
    )


def _patient(step: Callable[[], list[str]], load: MongoLoadOperator) -> list[str]:
    """Return what a look gives, repeated while MongoDB doesn't answer, as load itself would repeat it."""
    from airflow_fanout.mongo.errors import MongoUnreachable

    deadline, until = time.monotonic() + load.timeout_s, datetime.now(UTC) + timedelta(seconds=load.timeout_s)
    while True:
        try:
            return step()
        except MongoUnreachable as error:
            if time.monotonic() + PAUSE_S >= deadline or _HOPELESS.search(error.why):
                raise
            log.warning("%s It is asked again until %s.", error, until.isoformat(timespec="seconds"))
        time.sleep(PAUSE_S)
