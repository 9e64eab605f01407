"""One S3 server: started, asked what it was asked, sent away for a while, stopped."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from harness.processes import Kept, StoppedAtTheEnd, free_port
from harness.s3.counting import CONTROL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

START_LIMIT_S = 120.0
LOOK_AGAIN_S = 0.05
# moto takes any.
KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"


class S3NotStarted(RuntimeError):
    """The server has ended, or didn't answer, instead of serving."""


class S3Server(StoppedAtTheEnd):
    """A running server on 127.0.0.1; gone, with its keeper, when its context ends or its owner dies."""

    def __init__(self, kept: Kept, port: int) -> None:
        self._kept = kept
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    def start(cls, log: Path, *, buckets: tuple[str, ...] = ("staging",)) -> Self:
        """Start a server with empty buckets; return once they are there."""
        port = free_port()
        kept = Kept.start([sys.executable, "-m", "harness.s3", str(port)], env=dict(os.environ), log=log)
        server = cls(kept, port)
        until_s = time.monotonic() + START_LIMIT_S
        while True:
            try:
                for bucket in buckets:
                    server.make_bucket(bucket)
            except URLError:
                if kept.poll() is not None or time.monotonic() > until_s:
                    kept.stop()
                    raise S3NotStarted(log.read_text(errors="replace")[-2_000:]) from None
                time.sleep(LOOK_AGAIN_S)
            else:
                return server

    def stop(self) -> None:
        """End the server."""
        self._kept.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._kept.pid

    @property
    def extra(self) -> dict[str, Any]:
        """The extra of an Airflow connection of the type `aws` to it."""
        return {"endpoint_url": self.url, "region_name": "us-east-1"}

    @property
    def connection(self) -> str:
        """An Airflow connection to it, as the text of an environment variable."""
        return json.dumps({"conn_type": "aws", "login": KEY, "password": SECRET, "extra": self.extra})

    @property
    def options(self) -> Mapping[str, Any]:
        """What s3fs's file system needs to reach it, without trying again by itself what the server refuses."""
        return {
            "key": KEY,
            "secret": SECRET,
            "endpoint_url": self.url,
            "client_kwargs": {"region_name": "us-east-1"},
            "config_kwargs": {"retries": {"max_attempts": 0}},
        }

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        self._ask(f"/{name}", method="PUT")

    def counted(self) -> dict[str, int]:
        """Return how often it was asked for what since `forget`: by methods, and by LIST for a page of a listing."""
        return dict(json.loads(self._ask(f"{CONTROL}counted")))

    def tell(self, word: str) -> None:
        """Send it "away", have it say that all is "denied", or make it "careless" of conditions, until it is "back".

        With "forget", it begins to count again.
        """
        self._ask(f"{CONTROL}{word}")

    def _ask(self, path: str, method: str = "GET") -> bytes:
        authorization = f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"
        request = Request(f"{self.url}{path}", method=method, headers={"Authorization": authorization})  # noqa: S310
        with urlopen(request, timeout=30.0) as answer:  # noqa: S310 - an address of this machine
            return bytes(answer.read())
