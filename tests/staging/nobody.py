"""A user who may not read everything: what a worker of another user meets. Root may read whatever the modes say."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOBODY = 65534


def as_nobody(call: Callable[[], Any]) -> Any:
    """Return what a call returns when it is made by a user without rights, or the exception that it raised."""
    if os.geteuid():
        # The modes hold for this user, too.
        return _outcome(call)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(_outcome(call), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pickle.load(pipe)  # noqa: S301 - from our own child
    os.waitpid(child, 0)
    return told


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it is what the test is about
        return error


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that every user may enter; pytest's own are its user's alone."""
    folder = Path(tempfile.mkdtemp(prefix="fanout-test-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Let nobody but root use a file or a folder, for as long."""
    mode = path.stat().st_mode & 0o7777
    path.chmod(0)
    yield
    path.chmod(mode)
