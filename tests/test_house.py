"""The repository as a stranger finds it: no traces of one machine, pinned requirements, no unruled module."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.house import contents, source

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "plugins" / "airflow_fanout"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
# By contract, the rooms that may import what it forbids to the others.
MAY_USE = {
    "airflow": {"adapters", "notifications", "operators", "page"},
    "mongodb": {"adapters", "mongo", "operators"},
    "gevent": {"engine"},
    "requests": {"adapters", "api", "engine", "operators", "sources", "wire"},
}
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))

HOME_FOLDER = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|mnt|srv)/[\w.-]+")
TEMPORARY_FILE = re.compile(r"(?<![\w.$}])/tmp/(?!requirements-deploy\.txt)[\w.-]+")
PACKAGE_INDEX = re.compile(r"https?://[^\s\"')]*(?:/simple\b|pythonhosted|artifactory|nexus|devpi)")
INDEX_OPTION = re.compile(r"--(?:extra-)?(?:default-)?index(?:-url)?\b|--find[-]links|--trusted[-]host|\bfile:[/][/]")
PIN = re.compile(r"[a-z0-9._-]+(?:\[[a-z0-9,_-]+\])?==[^\s;]+(?: ; .+)?")


def texts() -> dict[str, str]:
    """Return the text of every file that git tracks or would add, by its path in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    contents = {path: path.read_bytes() for path in paths if path.is_file()}
    return {str(path.relative_to(ROOT)): content.decode() for path, content in contents.items() if b"\0" not in content}


def traces(pattern: re.Pattern[str]) -> list[str]:
    """Return `file:line: match` for every match in a tracked text."""
    return [
        f"{name}:{number}: {match[0]}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        for match in pattern.finditer(line)
    ]


@pytest.mark.parametrize("pattern", [HOME_FOLDER, TEMPORARY_FILE], ids=["home", "temporary"])
def test_no_file_knows_the_machine_it_was_written_on(pattern: re.Pattern[str]) -> None:
    """No tracked file holds an absolute path of somebody's machine."""
    assert traces(pattern) == []


def test_no_file_knows_where_its_packages_came_from() -> None:
    """No tracked file holds the address of a package index."""
    assert traces(PACKAGE_INDEX) == []


def test_requirements_are_pinned() -> None:
    """Every line of a requirements file is one package at one version."""
    lines = [line for path in REQUIREMENTS for line in path.read_text().splitlines()]
    loose = [line for line in lines if not line.lstrip().startswith("#") and not PIN.fullmatch(line)]

    assert {path.name for path in REQUIREMENTS} == {
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-deploy.txt",
    }
    assert loose == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_name_no_index(path: Path) -> None:
    """A requirements file leaves it to the machine where packages come from."""
    assert INDEX_OPTION.findall(path.read_text()) == []


def test_every_dependency_is_pinned() -> None:
    """What pyproject.toml asks for is in requirements.txt: `make lock` was run after the last change."""
    asked = {re.split(r"[<>=!~ ;\[]", line)[0].lower() for line in PROJECT["project"]["dependencies"]}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))

    assert asked - pinned == set()


@pytest.mark.parametrize("version", ["3.1.3", "3.1.4", "4.0"])
def test_no_cloudpickle_is_taken_that_forgets_where_a_function_was_written(version: str) -> None:
    """From 3.1.3 on, the file of a function that travelled is "<dynamic-code>", and tracebacks have no file name."""
    [asked] = [Requirement(text) for text in PROJECT["project"]["dependencies"] if text.startswith("cloudpickle")]

    assert version not in asked.specifier
    assert "3.1.2" in asked.specifier


def test_there_is_no_lock_that_records_addresses() -> None:
    """No uv.lock: it writes down from where each file was downloaded."""
    assert not (ROOT / "uv.lock").exists()


def test_only_the_ground_is_at_the_packages_root() -> None:
    """Every other module is in a room, and `make check` fails for a room that isn't among the layers."""
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "codec", "errors", "masking"}
    assert CONTRACTS["rooms"]["exhaustive"] is True


@pytest.mark.parametrize("contract", [name for name in CONTRACTS if CONTRACTS[name]["type"] == "forbidden"])
def test_a_room_that_a_contract_leaves_out_has_a_use_for_the_package(contract: str) -> None:
    """A room may import a heavy package only if it does, or hands its reader in."""
    rooms = {path.name for path in PACKAGE.iterdir() if list(path.glob("*.py"))}
    free = {f"airflow_fanout.{room}" for room in rooms} - {*CONTRACTS[contract]["source_modules"]}

    assert free <= {f"airflow_fanout.{room}" for room in MAY_USE[contract]}


def test_one_file_knows_the_layout_of_the_staging_area() -> None:
    """A name that changes there changes everywhere, and what is staged is opened by the store in a folder only."""
    modules = source.modules(PACKAGE)
    opening = {
        module.name
        for module in modules
        for name in module.imported - {"staging.files.PRIVATE"}
        if name.startswith("staging.files")
    }

    assert contents.knows_the_layout(modules) == ["staging/layout.py"]
    assert opening == {"staging.folder", "staging.folder_runs"}


def test_the_plugin_is_where_its_entry_point_says() -> None:
    """Installed, Airflow finds the same class that it finds in the plugins folder."""
    target = PROJECT["project"]["entry-points"]["airflow.plugins"]["airflow_fanout"]
    module, _, name = target.partition(":")

    assert f"class {name}(" in (ROOT / "plugins" / f"{module}.py").read_text()
    assert (PACKAGE / "py.typed").exists()
