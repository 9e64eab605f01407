"""A MongoDB address as an Airflow connection."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from pymongo.uri_parser_shared import split_options


def mongo_connection(uri: str) -> str:
    """Return the JSON of an Airflow connection of type `mongo` for a MongoDB address.

    An address may name several hosts and options, which Airflow's own form of connections by URI can't.
    """
    parts = urlsplit(uri)
    credentials, _, hosts = parts.netloc.rpartition("@")
    login, _, password = credentials.partition(":")
    extra: dict[str, Any] = dict(split_options(parts.query)) if parts.query else {}
    if parts.scheme == "mongodb+srv":
        extra["srv"] = True
    connection = {
        "conn_type": "mongo",
        "host": hosts,
        "login": unquote_plus(login) or None,
        "password": unquote_plus(password) or None,
        "schema": parts.path.lstrip("/") or None,
        "extra": extra,
    }
    return json.dumps({name: value for name, value in connection.items() if value})
