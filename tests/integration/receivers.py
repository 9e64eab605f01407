"""A mail server and a webhook: what alerts arrive at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller

from harness.processes import free_port

HOST = "127.0.0.1"


class Mailbox:
    """A mail server that keeps what arrives."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.port = free_port()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        self.mails.append(message_from_bytes(envelope.content, EmailMessage, policy=policy.default))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        """The mails' subjects, in the order of their arrival."""
        return [str(mail["Subject"]) for mail in self.mails]

    @contextmanager
    def open(self) -> Iterator[Mailbox]:
        """Listen until the context ends."""
        server = Controller(self, hostname=HOST, port=self.port)
        server.start()
        try:
            yield self
        finally:
            server.stop()


def html_of(mail: EmailMessage) -> str:
    """Return the HTML of a mail."""
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


class Hook:
    """A webhook that keeps what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://{HOST}:{self.port}"

    @property
    def texts(self) -> list[str]:
        """The texts posted, in the order of their arrival."""
        return [posted["text"] for posted in self.posted]

    @contextmanager
    def open(self) -> Iterator[Hook]:
        """Listen until the context ends."""
        thread = Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
