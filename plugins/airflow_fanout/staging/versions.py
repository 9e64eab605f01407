"""An object that several write, in a storage that can do no more than create one that isn't there."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from airflow_fanout import codec
from airflow_fanout.staging import object_layout
from airflow_fanout.staging.objects import Objects
from airflow_fanout.staging.store import Taken

# How many versions stay behind the newest one.
KEPT = 16
# When another one was faster, the next attempt comes after a part of this.
LONGEST_PAUSE_S = 0.2


class Versions:
    """The versions of one object, numbered from 1 on: each is created, so nobody overwrites what somebody else wrote.

    Beside them is a number from which on the newest one is looked for. That it may be old does no harm.

    :param key: the object's.
    """

    def __init__(self, objects: Objects, key: str) -> None:
        self._objects = objects
        self._key = key
        self._lock = threading.Lock()
        self._last: tuple[int, bytes] | None = None

    def newest(self) -> tuple[int, bytes]:
        """Return the number and the content of the newest version; 0 and nothing if there is none."""
        number = int(self._objects.content(object_layout.newest_version(self._key)) or 0)
        content = self._content(number) if number else None
        if number and content is None:
            number, content = self._after(number)
        while (following := self._content(number + 1)) is not None:
            number, content = number + 1, following
        self._last = number, content or b""
        return self._last

    def _after(self, number: int) -> tuple[int, bytes | None]:
        """Return the first version after one that is gone: somebody has written the old number late."""
        for later in range(number + 1, number + KEPT + 1):
            if (content := self._content(later)) is not None:
                return later, content
        return number, None

    def _content(self, number: int) -> bytes | None:
        stored = self._objects.content(object_layout.version(self._key, number))
        return None if stored is None else stored.partition(b"\n")[2]

    def change(self, changed: Callable[[bytes], bytes]) -> bool:
        """Make a version of what the newest one holds; return whether there was anything to change.

        :param changed: returns what is to be there instead; it may be called several times.
        """
        with self._lock:
            is_new = self._last is None
            number, content = self._last or self.newest()
            while True:
                wanted = changed(content)
                if wanted != content and self._create(number + 1, wanted):
                    return True
                if wanted == content and is_new:
                    return False
                # What was known is old: another one has written meanwhile, or may have.
                number, content = self.newest()
                is_new = True

    def _create(self, number: int, content: bytes) -> bool:
        # No two writers have the same content: who was first is known even if the answer got lost.
        nonce = secrets.token_hex(8).encode()
        try:
            self._objects.create(object_layout.version(self._key, number), nonce + b"\n" + content)
        except Taken:
            time.sleep(random.uniform(0.0, LONGEST_PAUSE_S))  # noqa: S311 - so that those who meet don't meet again
            return False
        self._last = number, content
        # The version is there: what follows only helps those who look for it.
        with suppress(OSError):
            self._objects.put(object_layout.newest_version(self._key), b"%d" % number)
            if number % KEPT == 0:
                old = range(max(number - 2 * KEPT, 0) + 1, number - KEPT + 1)
                self._objects.delete(object_layout.version(self._key, each) for each in old)
        return True

    def create_after(self, number: int, content: bytes) -> bool:
        """Create the version after a number; return whether nobody else has.

        :raises OSError: when the storage refuses, or can't be reached.
        """
        with self._lock:
            return self._create(number + 1, content)


class Register:
    """The names below a key: whoever adds one there writes it here first."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def names(self) -> list[str]:
        """Return the names, in the order in which they were added."""
        return _names(self._versions.newest()[1])

    def add(self, name: str) -> None:
        """Add a name, unless it is there."""
        self._versions.change(lambda content: content if name in _names(content) else _text([*_names(content), name]))

    def remove(self, name: str) -> bool:
        """Take a name away; return whether it was there: of several that take it, one hears that."""

        def without(content: bytes) -> bytes:
            names = _names(content)
            return _text([each for each in names if each != name]) if name in names else content

        return self._versions.change(without)


def _names(content: bytes) -> list[str]:
    with suppress(codec.NotJson):
        return list(codec.decode(content)) if content else []
    return []


def _text(names: list[str]) -> bytes:
    return codec.encode(names)
