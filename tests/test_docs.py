"""The documentation is held to the code."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_fanout
from airflow_fanout.adapters.connection import OPTIONS
from airflow_fanout.model.outcome import Kind
from tests.kinds import error_kinds

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
OPERATORS = (ROOT / "docs" / "operators.md").read_text() + (ROOT / "docs" / "sources.md").read_text()
# Messages are quoted there, whichever line they end on.
OPERATING = " ".join((ROOT / "docs" / "operating.md").read_text().split())
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()

PACKAGE = ROOT / "plugins" / "airflow_fanout"
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
MOST_BYTES_OF_AN_IMAGE = 80_000


MOST_COLUMNS = 100
MOST_SIGNS_OF_A_CELL = 120
# An address, for example, can't be broken.
LONGEST_WORD = 60
MOST_LINES_WITHOUT_CONTENTS = 100
MOST_HOPS = 12
RETIRED = re.compile(r"\b(mend(s|ed|ing)?|anew|shall|at the most|so many|be had|(is|are) told)\b", re.IGNORECASE)
MOST_LINES_OF_THE_FIRST_REPORT = 22


def _prose(page: Path) -> Iterator[str]:
    """Yield a page's lines, those of code blocks left out."""
    yield from re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL).splitlines()


def _cells(page: Path) -> Iterator[str]:
    for line in _prose(page):
        if line.startswith("|"):
            yield from (cell.strip() for cell in re.split(r"(?<!\\)\|", line))


def _links(page: Path) -> list[str]:
    """Return the targets of a page's links and images, those in code left out, and those to other sites."""
    return [link for link in LINK.findall(CODE.sub("", page.read_text())) if "://" not in link]


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them of headings that differ from each other."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    return {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")


def _leads_somewhere(page: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _arguments(name: str) -> list[str]:
    found = inspect.signature(getattr(airflow_fanout, name)).parameters.values()
    return [argument.name for argument in found if argument.kind is argument.KEYWORD_ONLY]


def readme_code() -> list[str]:
    """Return the README's pieces of Python: a short report, then two pieces of the full one."""
    return [text.split("```")[0].strip() for text in README.split("```python\n")[1:]]


def test_the_readmes_first_report_is_a_whole_dag_file(tmp_path: Path) -> None:
    """About twenty lines, all imports included, that Airflow can parse: four tasks, one after the other."""
    file = tmp_path / "call_report.py"
    file.write_text(readme_code()[0])
    dag = runpy.run_path(str(file))["dag"]
    assert len(readme_code()[0].splitlines()) <= MOST_LINES_OF_THE_FIRST_REPORT
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "calls.extract": {"calls.fetch", "calls.validate", "calls.load"},
        "calls.fetch": {"calls.validate"},
        "calls.validate": {"calls.load"},
        "calls.load": set(),
    }


def test_the_readmes_dag_is_the_dag_that_runs() -> None:
    """Both pieces of the full report are, letter by letter, in the DAG file that `make demo` runs."""
    pieces = readme_code()[1:]
    source = (ROOT / "dags" / "daily_call_report.py").read_text()
    assert len(pieces) == 2
    assert [piece in source for piece in pieces] == [True, True]


def test_the_first_thirty_lines_say_what_it_is_what_it_is_not_and_the_two_commands() -> None:
    """A newcomer needs no scrolling."""
    top = "\n".join(README.splitlines()[:30])
    assert all(word in top for word in ("Airflow plugin", "It isn't", "make demo", "make test"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_wrap_at_a_hundred_columns(page: Path) -> None:
    """So that they can be read in a terminal, and a change shows what it changes."""
    long = [line for line in _prose(page) if len(line) > MOST_COLUMNS]
    assert [line for line in long if max(map(len, line.split())) <= LONGEST_WORD] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_have_short_cells(page: Path) -> None:
    """What takes a paragraph isn't a table."""
    assert [cell for cell in _cells(page) if len(cell) > MOST_SIGNS_OF_A_CELL] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_have_none_of_the_retired_phrases(page: Path) -> None:
    """Plain English, code and quoted messages included."""
    assert [found[0] for found in RETIRED.finditer(" ".join(page.read_text().split()))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_long_pages_have_a_table_of_contents(page: Path) -> None:
    """With a link to each section that comes after it."""
    text = page.read_text()
    if page == GLOSSARY:
        sections = set(re.findall(r"^## (.+)$", text, re.MULTILINE))
        assert {" ".join(name.split()) for name in re.findall(r"\[([^\]]+)\]\(#", text.split("\n## ")[0])} == sections
    elif len(text.splitlines()) > MOST_LINES_WITHOUT_CONTENTS:
        _, _, rest = text.partition("\n## Contents\n")
        contents, _, sections = rest.partition("\n## ")
        own = {link.removeprefix("#") for link in LINK.findall(contents)}
        titles = re.findall(r"^## (.+)$", f"## {sections}", re.MULTILINE)
        assert [title for title in titles if _anchor(title) not in own] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "glossary.md"], ids=lambda page: page.name)
def test_every_page_leads_to_the_glossary(page: Path) -> None:
    """The words that have a meaning of their own here are explained in one place."""
    assert any("glossary.md#" in link for link in _links(page))


def test_one_parameters_way_is_that_of_the_code() -> None:
    """At most twelve hops from the source to the BSON document, each a name in a file."""
    hops = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \| `(\w+)` \|", ARCHITECTURE, re.MULTILINE)
    assert 0 < len(hops) <= MOST_HOPS
    assert [(file, name) for file, name in hops if name not in _defined(PACKAGE / file)] == []


def _defined(file: Path) -> set[str]:
    body = ast.parse(file.read_text()).body if file.exists() else []
    return {part.name for part in body if isinstance(part, ast.FunctionDef | ast.ClassDef)}


def test_the_rooms_are_those_of_the_code() -> None:
    """The layers are those of the contract, and each room has its row."""
    section = ARCHITECTURE.partition("\n## The rooms\n")[2].partition("\n## ")[0]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["id"] == "rooms"]
    assert re.findall(r"^    (\w.*)$", section, re.MULTILINE) == layers
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    named = [room for row in rows for room in re.findall(r"`(\w+)`", row)]
    assert named == [room for layer in layers for room in layer.split(" | ")]


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(\w+/[\w/]*\w\.py)`", ARCHITECTURE))))
def test_every_file_in_the_architecture_exists(file: str) -> None:
    """In the package, or in the repository."""
    assert (PACKAGE / file).exists() or (ROOT / file).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    """To a file or an image that is there, and to a heading that the page has."""
    assert [link for link in _links(page) if not _leads_somewhere(page, link)] == []


def test_every_image_is_shown_and_small() -> None:
    """None is left over from a page that was rewritten, and a page with ten of them still opens quickly."""
    images = set((ROOT / "docs" / "images").iterdir())
    shown = {(page.parent / link).resolve() for page in PAGES for link in _links(page)}
    assert images - shown == set()
    assert [image.name for image in images if image.stat().st_size > MOST_BYTES_OF_AN_IMAGE] == []


@pytest.mark.parametrize("name", sorted(airflow_fanout.__all__))
def test_every_public_name_is_documented(name: str) -> None:
    """What can be imported is explained."""
    assert name in OPERATORS


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, argument) for name in sorted(airflow_fanout.__all__) for argument in _arguments(name)],
)
def test_every_argument_is_documented(name: str, argument: str) -> None:
    """Each argument appears in the operators' page or in that of the sources."""
    assert f"`{argument}`" in OPERATORS or f"{argument}=" in OPERATORS


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_outcome_is_documented(kind: Kind) -> None:
    """The names are a promise, so they are written down."""
    assert f"`{kind}`" in ARCHITECTURE


@pytest.mark.parametrize("option", sorted({name for name, _ in OPTIONS.values()}))
def test_every_option_of_a_connection_is_documented(option: str) -> None:
    """What an extra may hold is in the operating page."""
    assert f"`{option}`" in OPERATING


# A setting is refused while a DAG file is written, with a sentence of its own; the page is for people on call.
WHILE_WRITING = {
    "FanoutError",
    "BadSetting",
    "BadTemplate",
    "BadParameter",
    "DuplicateParameter",
    "WrongArgument",
    "WrongFunction",
    "AsyncFunction",
}
OPENINGS = {
    "UnknownField": "endpoint uses {…}",
    "EmptyList": "gave no parameter at all",
    "UnknownSelection": "`only` asks for",
    "FunctionNotSent": "can't be sent to the engine",
    "BadSource": "The parameter list could not be read from",
    "BadConnection": "The connection … isn't there / has no host",
    "UnusableName": "and http_conn_id=… takes its connection from there",
    "TooManyConnections": "names more than … connections",
    "BadConnections": "connections that can't be used",
    "ConnectionsGivenUp": "connections were given up. The others are done",
    "BudgetRefused": "can't be used: MongoDB refuses it",
    "BudgetUnreadable": "can't be read as a request budget",
    "TooFewFiles": "A concurrency of … needs … open files",
    "NotPutUp": "are lost with this try",
    "StorageMissing": "The bucket or container of the staging area",
    "StorageDenied": "The object storage has refused access to",
    "StorageFailed": "can't be read or written: …",
    "NoConditionalWrites": "the same object was created there twice",
    "StagingLost": "Every worker must see the same staging area",
    "JournalDamaged": "… is damaged",
    "EngineBlocked": "Calls of the report's function have ended",
    "EngineDied": "before its work was done",
    "EngineStopped": "The fetch was stopped",
    "EngineFailed": "The engine failed",
    "LongWait": "The API asked us to wait",
    "BudgetWait": "The API's budget lets nothing through for",
    "QuotaTooSmall": "No parameter came to its end between the last … renewals",
    "Superseded": "A newer try of this fetch has begun",
    "Tripped": "were not requested",
    "BatchRefused": "so the batch itself is wrong",
    "NotStarted": "before the API gave a first answer",
    "ApiDown": "The API gave no answer for",
    "StagingFailed": "needs free space",
    "StagingErasing": "a parameter is being erased from this run, or that was interrupted",
    "NotErased": "places of the staging area may still hold what is to be erased",
    "StagingRemoved": "were removed once they were loaded",
    "ValidationFailed": "have no valid result",
    "NotValidated": "No validate task has passed these results",
    "BadDocument": "can't be loaded",
    "CountMismatch": "and MongoDB confirms",
    "WriteRefused": "MongoDB refused",
    "NoUniqueIndex": "can't have a unique index",
    "SwapLost": "A newer load of",
    "MongoFailed": "MongoDB failed",
    "MongoUnreachable": "The MongoDB of the connection … can't be reached",
    "MongoDenied": "is refused by its MongoDB",
    "BadTarget": "… can't be loaded: …",
    "TargetChanged": "was changed while load filled the collection",
    "PartialNotUpsert": "A partial run can't be loaded with mode=…",
    "NewerThere": "holds documents of a run of",
    "KeysMeet": "can't hold two documents of this run",
    "DocumentRefused": "would refuse N of the first M documents",
    "LoadBroke": "Load failed with",
    "SharedTarget": "belongs to the instance with map index",
    "NoList": "There is no list: the extract task has returned nothing",
    "NoToken": "There is no access token for the connection …: the token endpoint",
    "TokenEndpointDown": "There is no access token for the connection …: for … s, the token endpoint",
    "RefreshTokenBusy": "The refresh token in the Airflow Variable … was in use by other tasks",
    "RefreshTokenHidden": "The Airflow Variable … can't keep the next refresh token",
    "BadProxy": "The connection's proxy (…://…) can't be used",
    "FunctionMisfits": "doesn't fit its arguments",
    "EngineRefused": "The engine can't make requests over TLS",
    "NotReady": "The report isn't ready",
    "NotReachable": "The report did not start",
    "FindFailed": "The documents of … could not be read",
    "FindRefused": "an unknown operator in the filter",
    "UnusableList": "the list isn't what the report says about it",
    "StagingChanged": "The report's tasks didn't leave it like this",
    "ForeignPart": "belongs to another list, or to another place in the journal",
    "PartLost": "so results are lost",
    "NotFetched": "The fetch task hasn't run yet",
    "NotAsValidated": "Load takes exactly what validate has judged",
    "StagingDenied": "can't be read or written by the user of this task",
    "NotCleaned": "entries of the staging area could not be read or removed",
    "TemporaryFailed": "This is the folder for temporary files",
}


def test_every_error_is_in_the_runbook() -> None:
    """For each error there is a line that says what it means and what to do."""
    kinds = {kind.__name__ for kind in error_kinds()}
    assert kinds - WHILE_WRITING == OPENINGS.keys()
    assert [opening for opening in OPENINGS.values() if opening not in OPERATING] == []
