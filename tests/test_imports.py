"""Who loads what: each part in a process of its own, by what is in `sys.modules` afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ROOT / "plugins"
PACKAGE = PLUGINS / "airflow_fanout"
HEAVY = frozenset(
    {
        "airflow",
        "bson",
        "fastapi",
        "gevent",
        "openlineage",
        "pycurl",
        "pymongo",
        "requests",
        "sqlalchemy",
        "urllib3",
        "cloudpickle",
    }
)
# By file or folder, what a part may load of these; a part without a line may load none.
MAY_LOAD = {
    "adapters": {"airflow", "cloudpickle", "sqlalchemy"},
    "adapters/__init__.py": set[str](),
    "adapters/errors.py": set[str](),
    "api/auth.py": {"requests", "urllib3"},
    "api/failures.py": {"requests", "urllib3"},
    "api/permitted.py": {"requests", "urllib3"},
    "api/session.py": {"requests", "urllib3"},
    "api/settled.py": {"requests", "urllib3"},
    "api/login.py": {"requests", "urllib3"},
    "api/proxied.py": {"requests", "urllib3"},
    "api/refresh_tokens.py": {"requests", "urllib3"},
    "api/signed.py": {"requests", "urllib3"},
    "api/token_endpoint.py": {"requests", "urllib3"},
    "engine": {"cloudpickle", "gevent", "requests", "urllib3"},
    "engine/__init__.py": set[str](),
    "engine/function_session": {"gevent", "pycurl", "requests", "urllib3"},
    "engine/libcurl": {"pycurl"},
    "engine/libcurl/address.py": {"requests", "urllib3"},
    "engine/libcurl/alarm.py": {"gevent"},
    "engine/libcurl/transfer.py": {"gevent", "pycurl", "requests", "urllib3"},
    "engine/calling_pump.py": {"cloudpickle", "gevent", "pycurl", "requests", "urllib3"},
    "engine/pumping.py": {"cloudpickle", "gevent", "pycurl", "requests", "urllib3"},
    "engine/pump.py": {"cloudpickle", "gevent", "pycurl", "requests", "urllib3"},
    "engine/transport/by_curl.py": {"gevent", "pycurl", "requests", "urllib3"},
    "engine/transport/curl_failures.py": {"gevent", "pycurl", "requests", "urllib3"},
    "engine/transport/steps_by_curl.py": {"gevent", "pycurl", "requests", "urllib3"},
    "engine/transport/introduction.py": {"gevent", "pycurl", "requests", "urllib3"},
    "engine/transport/options.py": {"gevent", "pycurl", "requests", "urllib3"},
    # Whether a function can be sent to the engine.
    "launch/answer_cache.py": {"cloudpickle"},
    "launch/fetch.py": {"cloudpickle"},
    "launch/shipping.py": {"cloudpickle"},
    "launch/plan.py": {"cloudpickle"},
    "mongo": {"bson", "pymongo"},
    "mongo/__init__.py": set[str](),
    # What MongoDB's names are is known without its driver, and while a DAG file is parsed.
    "mongo/namespaces.py": set[str](),
    "mongo/errors.py": set[str](),
    "mongo/types.py": set[str](),
    "mongo/modes.py": set[str](),
    # What BSON can hold.
    "mongo/documents.py": {"bson"},
    "mongo/conversion.py": {"bson"},
    "mongo/identity.py": {"bson"},
    "mongo/spool.py": {"bson"},
    "mongo/storable.py": {"bson"},
    "notifications": {"airflow", "sqlalchemy"},
    "notifications/__init__.py": set[str](),
    "operators": {"airflow", "cloudpickle", "sqlalchemy"},
    "operators/__init__.py": set[str](),
    # What reads an HTTP list; what describes one loads neither.
    "page": {"airflow", "cloudpickle", "fastapi", "sqlalchemy"},
    "page/__init__.py": set[str](),
    "page/errors.py": set[str](),
    "page/outline.py": set[str](),
    "page/rows.py": set[str](),
    "page/run_view.py": set[str](),
    "page/report_view.py": set[str](),
    "page/reports_view.py": set[str](),
    "page/steps.py": set[str](),
    "page/words.py": set[str](),
    "page/advice.py": set[str](),
    "sources/asking.py": {"requests", "urllib3"},
    "sources/causes.py": {"requests", "urllib3"},
    "sources/reading.py": {"requests", "urllib3"},
    "wire": {"requests", "urllib3"},
    "wire/body.py": set[str](),
}
# Imports each module in a fork of an interpreter that has loaded nothing of ours and nothing heavy. What is needed of
# Python's own is loaded once: that is most of the time that an interpreter for each module would take.
EACH_ALONE = """
import asyncio, csv, ctypes, dataclasses, email.message, http.client, http.cookiejar, importlib, inspect, json, logging
import msgspec, os, sqlite3, ssl, statistics, subprocess, sys, tempfile, traceback, typing, urllib.request, uuid
import zoneinfo

modules, watched = json.load(sys.stdin)
assert not {*watched} & {*sys.modules}

def loaded(module):
    try:
        importlib.import_module(module)
    except Exception:
        return traceback.format_exc()
    return [name for name in watched if name in sys.modules]

for module in modules:
    if not (child := os.fork()):
        print(json.dumps([module, loaded(module)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
# Patches the interpreter that it is: it runs, it isn't imported.
PROGRAM = "engine/__main__.py"


WATCHED = sorted({*HEAVY, "gevent.monkey"})


def printed(program: str, home: Path, given: str = "") -> str:
    """Run a program in an interpreter of its own, and return what it prints."""
    env = {**os.environ, "PYTHONPATH": f"{PLUGINS}{os.pathsep}{ROOT}", "AIRFLOW_HOME": str(home)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=env, cwd=home, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(program: str, home: Path) -> set[str]:
    """Return which of the heavy packages a program has loaded, `gevent.monkey` by its own name."""
    shown = f"import sys; print(*(name for name in {WATCHED!r} if name in sys.modules), sep='\\n')"
    return {*printed(f"{program}\n{shown}", home).split()} & {*WATCHED}


def parts() -> Iterator[str]:
    """Yield every file of the package that can be imported, by its path in it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if (name := path.relative_to(PACKAGE).as_posix()) != PROGRAM:
            yield name


def allowed(part: str) -> set[str]:
    """Return what a part may load: by the nearest line of the table."""
    for place in (part, *(parent.as_posix() for parent in Path(part).parents)):
        if place in MAY_LOAD:
            return MAY_LOAD[place]
    return set()


def module_of(part: str) -> str:
    """Return a part's name for `import`."""
    names = Path("airflow_fanout", part).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


WITHOUT_AIRFLOW = [part for part in parts() if "airflow" not in allowed(part)]


@pytest.fixture(scope="module")
def loaded_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str] | str]:
    """What each module loads that is imported alone; a text is the error that it can't be imported of."""
    given = json.dumps([[module_of(part) for part in WITHOUT_AIRFLOW], WATCHED])
    return dict(map(json.loads, printed(EACH_ALONE, tmp_path_factory.mktemp("home"), given).splitlines()))


@pytest.mark.parametrize("part", WITHOUT_AIRFLOW)
def test_a_part_loads_what_it_may(part: str, loaded_alone: dict[str, list[str] | str]) -> None:
    """Values load nothing; the engine neither Airflow nor MongoDB; its parent's side neither gevent nor requests."""
    names = loaded_alone[module_of(part)]
    assert isinstance(names, list), names
    assert {*names} - {"gevent.monkey"} <= allowed(part)
    # gevent loads its `monkey` by itself; only the program may use it.
    assert "gevent.monkey" not in names or "gevent" in allowed(part)


def test_the_parts_together_that_airflow_loads(tmp_path: Path) -> None:
    """All public names and all operators: Airflow, and no gevent, requests, pymongo or web framework."""
    names = "import airflow_fanout\nfor name in airflow_fanout.__all__: assert getattr(airflow_fanout, name), name"
    modules = [f"import {module_of(part)}" for part in parts() if part.startswith("operators")]
    found = loaded("\n".join([names, *modules]), tmp_path)
    assert found <= MAY_LOAD["operators"]
    assert "airflow" in found


def test_the_plugin_file_loads_only_airflows_sdk(tmp_path: Path) -> None:
    """The one file that every Airflow process executes brings no driver and no web framework."""
    program = f"import runpy; runpy.run_path({str(PLUGINS / 'airflow_fanout_plugin.py')!r})"
    assert loaded(program, tmp_path) <= {"airflow", "sqlalchemy"}


@pytest.mark.parametrize("dag_file", sorted(path.name for path in (ROOT / "dags").glob("*.py")))
def test_a_dag_file_loads_no_gevent(dag_file: str, tmp_path: Path) -> None:
    """A DAG file is parsed without gevent and pymongo; requests is there only if the file itself asks for it."""
    path = ROOT / "dags" / dag_file
    may = set(MAY_LOAD["operators"])
    if "import requests" in path.read_text():
        may |= {"requests", "urllib3"}
    assert loaded(f"import runpy; runpy.run_path({str(path)!r})", tmp_path) <= may
