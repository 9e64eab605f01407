"""The certificate files of a connection, looked at before the first request: transports say it in different words."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from airflow_fanout.api.endpoint import Endpoint


def problem_with_files(endpoint: Endpoint, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what is wrong with the files that an https connection names; `None` if nothing is.

    :param environment: may name the file of the authorities, where the connection doesn't.
    """
    if not endpoint.base_url.startswith("https:"):
        return None
    return _problem_with_authorities(endpoint, environment) or _problem_with_certificate(endpoint)


def _problem_with_authorities(endpoint: Endpoint, environment: Mapping[str, str]) -> str | None:
    known, of = endpoint.verify, "`verify` in its extra"
    if known is True and endpoint.trust_env:
        names = [name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if environment.get(name)]
        known, of = (environment[names[0]], f"the environment variable {names[0]}") if names else (True, of)
    if not isinstance(known, str):
        return None
    path = Path(known)
    try:
        is_folder = path.is_dir()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            None if is_folder else known, known if is_folder else None
        )
    except (OSError, ValueError) as error:
        return f"names the certificates of {known} ({of}), which can't be read: {_words(error)}"
    return None


def _problem_with_certificate(endpoint: Endpoint) -> str | None:
    if endpoint.cert is None:
        return None
    cert, key = endpoint.cert if isinstance(endpoint.cert, tuple) else (endpoint.cert, endpoint.cert)
    for path in (cert, key):
        try:
            with Path(path).open("rb"):
                pass
        except (OSError, ValueError) as error:
            return f"names the file {path} (`cert` in its extra), which can't be read: {_words(error)}"
    try:
        # Without a password the question for one would be put to a terminal that nobody looks at.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        return (
            f"names a client certificate and a key that can't be used together ({cert}, {key}): {_words(error)}. The "
            "key has to be the certificate's, in PEM, without a password"
        )
    return None


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it holds no certificate in PEM"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
