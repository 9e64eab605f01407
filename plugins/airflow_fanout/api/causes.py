"""What Python and OpenSSL say when there is no connection: what may pass, and what somebody has to change."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

# What getaddrinfo(3) says of a name that isn't there; "try again" (EAI_AGAIN) and all else may pass.
_NO_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
# Words of OpenSSL's for what the two sides will never agree on: plain HTTP where TLS was expected, a version, or a
# client's certificate that the server wants (RFC 8446, 6.2). Anything else may be a connection that broke off.
_TLS_REFUSED = re.compile(
    r"(?i)wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long|record[ _]layer|unsupported[ _]protocol|"
    r"alert[ _](?:handshake[ _]failure|protocol[ _]version|(?:bad[ _])?certificate|unknown[ _]ca|access[ _]denied)|"
    r"unrecognized[ _]name|certificate[ _]required"
)


def is_no_name(error: BaseException | None) -> bool:
    """Return whether an error says that the name service knows that there is no such name."""
    return isinstance(error, socket.gaierror) and error.errno in _NO_NAME


def is_tls_refused(message: str) -> bool:
    """Return whether a message of OpenSSL's is about something that the two sides will never agree on."""
    return _TLS_REFUSED.search(message) is not None


def shown(proxy: str) -> str:
    """Return a proxy's address without its credentials; nothing if there is none."""
    if not proxy:
        return ""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
