"""What sources read with: databases and files, by Airflow's connections."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from airflow_fanout.errors import BadConnection, BadSetting
from airflow_fanout.privacy.redaction import redact
from airflow_fanout.sources.source import Database


def database_of(conn_id: str) -> Database:
    """Return the database of a connection, through the hook of its type; nothing is sent yet.

    :raises BadConnection: when the connection isn't there, or its type isn't that of a database.
    """
    # Imported here: it loads SQLAlchemy, and no other source needs it.
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    try:
        connection: Any = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise BadConnection(conn_id, "isn't there") from None
    try:
        hook: Any = connection.get_hook()
    except (AirflowException, ImportError) as error:
        needs = "no provider that is installed here has a hook for it"
        raise BadConnection(conn_id, f"has the type {connection.conn_type!r}, and {needs} ({error})") from None
    if not isinstance(hook, DbApiHook):
        kind = type(hook).__name__
        raise BadConnection(conn_id, f"has the type {connection.conn_type!r}, whose {kind} reads no SQL database")

    def connect() -> Any:
        try:
            return hook.get_conn()
        except (AirflowException, ImportError, LookupError, TypeError, ValueError) as error:
            words = redact(" ".join(str(error).split()))
            raise BadConnection(conn_id, f"can't be used by {type(hook).__name__} ({words})") from None

    return Database(connect, hook.placeholder, hook.dialect_name)


def open_file(path: str, conn_id: str | None) -> IO[bytes]:
    """Open a file, or an object in an object storage through Airflow's `ObjectStoragePath`.

    :raises OSError: when it can't be opened.
    :raises BadSetting: for an address that no provider here knows, and for what is no file.
    """
    if not urlsplit(path).scheme:
        # A pipe, which can be read only once, would be empty after the preflight.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise BadSetting("path", path, "a file, not a folder or a device")
        return Path(path).open("rb")
    from airflow.sdk import ObjectStoragePath

    try:
        stored: Any = ObjectStoragePath(path, conn_id=conn_id)
        return cast("IO[bytes]", stored.open("rb"))
    except OSError:
        raise
    except (ValueError, ImportError) as error:
        expected = f"an address whose provider is installed on this worker ({error})"
        raise BadSetting("path", path, expected) from None
    except Exception as error:  # noqa: BLE001 - each storage has errors of its own
        raise OSError(f"{type(error).__name__}: {redact(str(error))}") from None
