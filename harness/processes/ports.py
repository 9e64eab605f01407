"""Ports of this machine that a server may listen at."""

from __future__ import annotations

import errno
import secrets
import socket
from contextlib import suppress
from pathlib import Path

CLIENT_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10_000
PORT_TRIES = 20


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago; somebody else may take it before you do.

    It isn't one of those that the system gives to clients: a server takes seconds to start, and in that time
    a fetch beside it opens thousands of connections.
    """
    for port in (*(_chosen_port() for _ in range(PORT_TRIES)), 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError(errno.EADDRNOTAVAIL, "no TCP port of 127.0.0.1 is free")


def _chosen_port() -> int:
    """Return a port below the clients' ports, by chance, 0 for any port where those can't be known."""
    with suppress(OSError, ValueError):
        lowest_of_clients = int(CLIENT_PORTS.read_text().split()[0])
        return LOWEST_PORT + secrets.randbelow(lowest_of_clients - LOWEST_PORT)
    return 0
