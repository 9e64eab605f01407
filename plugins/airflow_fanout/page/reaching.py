"""Whether this API server reaches a run's list, which is in a folder or in an object storage, as its team has it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from airflow_fanout.adapters.border import is_storage, list_to_read, staging_address
from airflow_fanout.errors import FanoutError
from airflow_fanout.page.errors import NotShown
from airflow_fanout.privacy.redaction import redact
from airflow_fanout.staging.directory import ListDirectory

LEFT = "The samples above are what is left."
GONE = (
    "The list isn't there: either this API server doesn't see the workers' staging area, or the run's files were "
    f"cleaned. {LEFT}"
)


def reachable_list(address: str, team: str | None) -> ListDirectory:
    """Return the list at an address; whoever could change an XCom must not have this server read another file.

    :param team: the one that the DAG belongs to.
    :raises NotShown: if this server can't read it, with the reason and what to do.
    """
    try:
        area = staging_address(team)
        if not _is_within(address, area):
            raise NotShown(f"The list is at {address}, and this API server's staging area is {area}. {LEFT}", 409)
        directory = list_to_read(address)
        directory.manifest.content()
    except FileNotFoundError:
        raise NotShown(GONE, 409) from None
    except FanoutError as error:
        raise _unreadable(str(error)) from error
    except OSError as error:
        raise _unreadable(f"{error.filename or address}: {error.strerror or type(error).__name__}.") from error
    return directory


def _is_within(address: str, area: str) -> bool:
    if is_storage(address) or is_storage(area):
        return address.startswith(f"{area.rstrip('/')}/") and ".." not in address.split("/")
    return Path(address).resolve().is_relative_to(Path(urlsplit(area).path).expanduser().resolve())


def _unreadable(reason: str) -> NotShown:
    return NotShown(f"This API server can't read the staging area. {redact(reason)} {LEFT}", 409)
