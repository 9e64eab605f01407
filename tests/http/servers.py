"""Servers that misbehave: each connection is a thread, and what it writes is written by hand, byte for byte."""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, NoReturn, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

GIB = 1 << 30
LONGEST_S = 30.0


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; the names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Hangup(Exception):
    """The handler has said all it had to say."""


class Connection:
    """The server's end of a connection."""

    def __init__(self, connected: socket.socket, stopped: threading.Event) -> None:
        self._socket = connected
        self._file = connected.makefile("rb")
        self._stopped = stopped

    def read(self) -> Seen | None:
        """Return the next request; `None` when the client has closed."""
        first = self._file.readline()
        if not first.strip():
            return None
        method, target, _ = first.decode().split(" ", 2)
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Seen(method, target, headers, self._body(headers))

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self._file.read(int(headers.get("content-length", 0)))
        chunks = []
        while length := int(self._file.readline(), 16):
            chunks.append(self._file.read(length + 2)[:length])
        self._file.readline()
        return b"".join(chunks)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def pause(self, seconds: float) -> None:
        """Wait, or raise `Hangup` when the server stops first."""
        if self._stopped.wait(seconds):
            raise Hangup

    def hang_up(self, *, reset: bool = False) -> NoReturn:
        """End the connection with FIN, or with RST."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup

    def tunnel(self, host: str, port: int) -> NoReturn:
        """Pass bytes on in both directions, until one side closes."""
        with socket.create_connection((host, port), LONGEST_S) as other:
            ends = {self._socket: other, other: self._socket}
            while not self._stopped.is_set():
                for end in select.select(list(ends), [], [], 0.1)[0]:
                    if not (data := end.recv(1 << 16)):
                        raise Hangup
                    ends[end].sendall(data)
        raise Hangup

    def close(self) -> None:
        """Close both directions."""
        self._file.close()
        self._socket.close()


Handler = Callable[[Seen, Connection], bytes | None]
# What is at a path: an answer that is always the same, or a handler.
Routes = Mapping[str, Handler | bytes]


class Server:
    """A server on the loopback interface whose handler returns an answer's bytes, or sends what it likes."""

    def __init__(
        self, handler: Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self._handler = handler
        self._tls = tls
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        self.authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.origin = f"{'https' if tls else 'http'}://{self.authority}"

    def __repr__(self) -> str:
        return f"Server({self.origin}, {len(self.seen)} requests on {self.connections} connections)"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        # A listener that another thread waits on wakes by shutdown, not by close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connected in tuple(self._open):
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LONGEST_S)

    def asked(self, path: str) -> list[Seen]:
        """Return the requests for a path, in order."""
        return [seen for seen in self.seen if seen.path == path]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connected)

    def _serve(self, connected: socket.socket) -> None:
        # A client that goes away in the middle is what many of these tests are about.
        with contextlib.suppress(OSError, Hangup):
            connected.settimeout(LONGEST_S)
            if self._tls:
                connected = self._tls.wrap_socket(connected, server_side=True)
            connection = Connection(connected, self._stopped)
            with contextlib.closing(connection):
                self._converse(connected, connection)
        connected.close()

    def _converse(self, connected: socket.socket, connection: Connection) -> None:
        self._open.add(connected)
        try:
            while not self._stopped.is_set() and (seen := connection.read()):
                self.seen.append(seen)
                if (answer := self._handler(seen, connection)) is not None:
                    connection.send(answer)
        finally:
            self._open.discard(connected)


class Crowded(Server):
    """A server that takes so many connections at once, and resets all others as soon as they are opened."""

    def __init__(self, handler: Handler, most: int) -> None:
        super().__init__(handler)
        self._places = threading.BoundedSemaphore(most)
        self.resets = 0

    def _serve(self, connected: socket.socket) -> None:
        if not self._places.acquire(blocking=False):
            self.resets += 1
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connected.close()
            return
        try:
            super()._serve(connected)
        finally:
            self._places.release()


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer; its length is right."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def as_json(value: object, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer in JSON."""
    return answer(json.dumps(value).encode(), status, "Content-Type: application/json", *headers)


def redirect(to: str, status: str = "302 Found") -> bytes:
    """Return a redirect."""
    return answer(b"", status, f"Location: {to}")


def chunked(*pieces: bytes) -> bytes:
    """Return an answer in JSON whose length nobody has said before."""
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"


def proxy(seen: Seen, connection: Connection) -> bytes | None:
    """Do what a proxy does: connect to any port of this machine by CONNECT, or ask it for an absolute address."""
    if seen.method == "CONNECT":
        host, _, port = seen.target.rpartition(":")
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.tunnel(host.strip("[]"), int(port))
    parts = urlsplit(seen.target)
    with contextlib.closing(HTTPConnection(parts.hostname or "", parts.port or 80, timeout=LONGEST_S)) as upstream:
        sent = {name: text for name, text in seen.headers.items() if not name.startswith("proxy-")}
        upstream.request(seen.method, f"{parts.path}?{parts.query}".rstrip("?"), seen.body or None, sent)
        answered = upstream.getresponse()
        return answer(answered.read(), f"{answered.status} {answered.reason}")


def drip(connection: Connection, pause_s: float) -> None:
    """Send a body, a byte at a time, that never ends."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.send(b" ")
        connection.pause(pause_s)


def announce(connection: Connection, length: int = GIB) -> None:
    """Announce a huge body and send it for as long as the client takes it."""
    connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
    piece = b" " * (1 << 16)
    for _ in range(length // len(piece)):
        connection.send(piece)


def gzip_bomb(size: int = GIB // 2) -> bytes:
    """Return an answer of some hundred kilobytes that becomes `size` bytes of spaces."""
    piece = gzip.compress(b" " * (1 << 24), 6)
    body = piece * (size >> 24)
    return answer(body, "200 OK", "Content-Encoding: gzip")


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate authority and a certificate for 127.0.0.1; return the CA's file and a server's context.

    The certificate and its key are in `server.pem`, beside the CA's file: a client may show them, too.
    """
    import ipaddress
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def build(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority for tests")])
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    ca = build("an authority for tests", ca_name, ca_key).add_extension(constraints, critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = build("127.0.0.1", ca_name, key).add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    ca_file, chain_file = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain_file.write_bytes(private + leaf.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file)
    return ca_file, context


def until(condition: Callable[[], bool], within_s: float) -> bool:
    """Wait for a condition; return whether it came in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def paths(routes: Routes) -> Handler:
    """Return a handler that looks the path up; a path that isn't there gets 404."""

    def handle(seen: Seen, connection: Connection) -> bytes | None:
        found = routes.get(seen.path, answer(b"", "404 Not Found"))
        return found if isinstance(found, bytes) else found(seen, connection)

    return handle


@contextlib.contextmanager
def serving(routes: Routes) -> Iterator[Server]:
    """Run a server for some paths."""
    with Server(paths(routes)) as server:
        yield server
