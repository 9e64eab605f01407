"""A Redis that tests start."""

from __future__ import annotations

from pathlib import Path

import psutil

from harness.redis import Redis


def test_it_answers_and_is_gone_afterwards(tmp_path: Path) -> None:
    """A server with an empty database, at a port of its own; nothing of it is left when the context ends."""
    before = set(psutil.Process().children(recursive=True))
    with Redis.start(tmp_path / "one") as one, Redis.start(tmp_path / "two") as two:
        assert one.url != two.url
        with one.client() as client, two.client() as other:
            client.set("key", "value")
            assert client.get("key") == b"value"
            assert other.dbsize() == 0
    assert set(psutil.Process().children(recursive=True)) <= before
