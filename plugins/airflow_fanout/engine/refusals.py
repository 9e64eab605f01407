"""What an author's function can't do in the engine, each refused with a sentence that says what to do instead.

The engine is one process with one loop, which the calls of all parameters share.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn

import gevent.os

FORK = (
    "A function can't fork the engine: the copy would share the connections of all other parameters. Start a program "
    'with subprocess.run([…]), or run a function of a module in a process of multiprocessing.get_context("spawn").'
)
ASYNCIO = (
    "asyncio can't run in the engine: its loop would block all other calls. Call session.get(…) from a plain `def`: "
    "the engine runs up to `concurrency` calls at once."
)
AIRFLOW = (
    "{name} can't be imported in the engine, where there is no Airflow. Put a secret into the connection, whose "
    "credentials and headers the session sends, and other values into the parameters or a functools.partial."
)


class ForkRefused(RuntimeError):
    """A function has tried to fork the engine."""


class AsyncioRefused(RuntimeError):
    """A function has tried to run a loop of asyncio's in the engine."""


def refuse_all() -> None:
    """Refuse, from now on and for all of this process, what a function can't do here."""
    refuse_forks()
    if loaded := sys.modules.get("asyncio"):
        refuse_asyncio(loaded)
    else:
        sys.meta_path.insert(0, _AsyncioFinder())
    sys.meta_path.insert(0, _NoAirflow())


def refuse_forks() -> None:
    """Refuse to fork without starting another program; gevent's subprocess keeps the system's own fork."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise ForkRefused(FORK)

    for module in (os, sys.modules["posix"], gevent.os, gevent):
        for name in ("fork", "forkpty", "fork_gevent", "forkpty_gevent", "fork_and_watch"):
            if hasattr(module, name):
                setattr(module, name, refuse)


def refuse_asyncio(asyncio: Any) -> None:
    """Refuse to run the loops of the module asyncio, whatever starts them."""

    def refuse(*arguments: Any, **_: object) -> NoReturn:
        for coroutine in filter(asyncio.iscoroutine, arguments):
            # What is never awaited is warned of, beside the error that says more.
            coroutine.close()
        raise AsyncioRefused(ASYNCIO)

    loop = asyncio.BaseEventLoop
    for place, name in ((asyncio, "run"), (asyncio.Runner, "run"), (loop, "run_until_complete"), (loop, "run_forever")):
        setattr(place, name, refuse)


class _AsyncioFinder(MetaPathFinder):
    """Finds asyncio when a function wants it: to load it at each start takes a sixth of the start's processor time."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - Python's signature
        """Find asyncio by the other finders, with a loader after which its loops are refused."""
        if name != "asyncio":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec and spec.loader:
            spec.loader = _RefusingLoader(spec.loader)
        return spec


class _RefusingLoader(Loader):
    """Loads asyncio by its own loader, and refuses its loops."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let its own loader create the module."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and refuse its loops."""
        self._loader.exec_module(module)
        refuse_asyncio(module)


class _NoAirflow(MetaPathFinder):
    """Finds no Airflow, and says why."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002 - Python's signature
        """Refuse a module of Airflow's, and leave all others to the other finders."""
        if name.partition(".")[0] == "airflow":
            raise ImportError(AIRFLOW.format(name=name), name=name)
