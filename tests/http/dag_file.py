"""A DAG file for tests: written to a folder, and loaded as Airflow loads one."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

TEXT = '''
from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections import namedtuple
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import gevent
import requests

LIMIT = 3
LOCK = threading.Lock()
SOCKET = socket.socket()
SOCKET.close()
Row = namedtuple("Row", "tel seconds")


@dataclass
class Window:
    days: int


WINDOW = Window(7)


def plain(session, tel):
    return {"tel": tel, "limit": LIMIT, "days": WINDOW.days}


def numbered(session, tel):
    for number in range(LIMIT):
        yield tel, number


def times(session, tel, factor):
    return int(tel) * factor


doubled = functools.partial(times, factor=2)
anonymous = lambda session, tel: tel + "!"


def logged(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)
    return call


@logged
def decorated(session, tel):
    return helper(tel)


def helper(tel):
    return tel.upper()


class Callable:
    def __init__(self, suffix):
        self.suffix = suffix

    def __call__(self, session, tel):
        return tel + self.suffix


instance = Callable("?")


def mapped(callback, session, tel):
    return callback(tel)


def rows(session, tel):
    return [Row(tel, 1), (tel, 2)]


def locked(session, tel):
    with LOCK:
        return tel


def connected(session, tel):
    return SOCKET.recv(1)


async def awaited(session, tel):
    await asyncio.sleep(0)


def hooked(session, tel):
    from airflow.sdk import BaseHook
    return BaseHook, tel


class Wrong(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Ending(Exception):
    def __str__(self):
        raise gevent.GreenletExit

    __repr__ = __str__


class Lazy(dict):
    def items(self):
        raise gevent.GreenletExit


def ending_generator():
    yield 1
    raise SystemExit


def spawned_exit():
    child = gevent.spawn(lambda: (_ for _ in ()).throw(SystemExit(3)))
    child.join()
    return type(child.exception or child.value).__name__


def circle():
    one = []
    one.extend([one] * 50)
    return one


class CASES:
    """What a function may do; the parameter is the case's name."""

    def none(session): return None
    def empty(session): return []
    def text(session): return "text"
    def tuples(session): return rows(session, "+12025550100")
    def moment(session): return {"at": datetime(2026, 11, 22)}
    def nan(session): return float("nan")
    def surrogate(session): return "\\udcff"
    def generator(session): return numbered(session, "x")
    def raises(session): raise KeyError("calls")
    def helped(session): return helper(None)
    def leaves(session): raise SystemExit(3)
    def garbled(session): raise ValueError("broken \\udcff bytes")
    def speechless(session): raise Wrong
    def verbose(session): raise ValueError("x" * 100_000)
    def status(session): return checked(session.get("/busy"))
    def not_found(session): return checked(session.get("/nowhere"))
    def not_json(session): return session.get("/page").json()
    def large(session): return session.get("/large").text
    def streamed(session): return len(b"".join(session.get("/large", stream=True).iter_content(100)))
    def refused(session): return session.get("http://127.0.0.1:1/").text
    def late(session): return session.get("/drip").text
    def late_read(session): return session.get("/hang", timeout=0.2).text
    def late_body(session): return session.get("/stuck", timeout=0.2).text
    def greenlet_exit(session): raise gevent.GreenletExit
    def interrupts(session): raise KeyboardInterrupt
    def base(session): raise BaseException("of the family's root")
    def system_error(session): raise SystemError("inside")
    def generator_exit(session): raise GeneratorExit
    def ends_lazily(session): return ending_generator()
    def ends_in_items(session): return Lazy(a=1)
    def ends_in_str(session): raise Ending
    def own_limit(session):
        with gevent.Timeout(0.05):
            gevent.sleep(60)
    def nameless(session): raise type("X" * 2000, (Exception,), {})("x")
    def huge(session): raise ValueError("x" * 100_000_000)
    def false_response(session): raise requests.HTTPError("no", response="x")
    def empty_response(session): raise requests.HTTPError("no", response=requests.Response())
    def response(session): return session.get("/good")
    def day(session): return {"rows": [{"tel": "+12025550100", "at": date(2026, 11, 22)}]}
    def amount(session): return [Decimal("1.10")]
    def awaitable(session): return awaited(session, "x")
    def circle(session): return circle()
    def spawned_exit(session): return spawned_exit()
    def disguises(session):
        try:
            session.get("/hang")
        except BaseException as error:
            raise ValueError("disguised") from error
    def swallows(session):
        try:
            session.get("/hang")
        except:
            return "a value of last resort"


def checked(response):
    response.raise_for_status()
    return response.json()


def fetch(session, case):
    return vars(CASES)[case](session)
'''


@contextmanager
def loaded(folder: Path, text: str = TEXT) -> Iterator[ModuleType]:
    """Load a DAG file under the name that Airflow's dag processor and task runner give it."""
    path = folder / "report.py"
    path.write_text(text)
    name = "unusual_prefix_e2a9b6d0c1f34857a9b0_report"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]
