"""Whether the files that a connection names are where the task runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.errors import BadConnection


def missing_files(conn_id: str, endpoint: Endpoint) -> Iterator[str]:
    """Yield what is wrong with the files of a connection: each must be there, and be readable for the task's user."""
    certificates = (endpoint.cert,) if isinstance(endpoint.cert, str) else endpoint.cert or ()
    for option, path in (("verify", endpoint.verify), *(("cert", path) for path in certificates)):
        if isinstance(path, str) and not os.access(path, os.R_OK):
            named = f'names the file {path} in "{option}" of its extra'
            yield str(BadConnection(conn_id, f"{named}, and it isn't there or can't be read on this worker"))
