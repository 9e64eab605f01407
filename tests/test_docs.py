"""The documentation is held to the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import airflow_fanout
from airflow_fanout.adapters.connection import OPTIONS
from airflow_fanout.model.outcome import Kind
from tests.kinds import error_kinds

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
OPERATORS = (ROOT / "docs" / "operators.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
MOST_BYTES_OF_AN_IMAGE = 80_000


def _links(page: Path) -> list[str]:
    """Return the targets of a page's links and images, those in code left out, and those to other sites."""
    return [link for link in LINK.findall(CODE.sub("", page.read_text())) if "://" not in link]


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them of headings that differ from each other."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def _leads_somewhere(page: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _arguments(name: str) -> list[str]:
    found = inspect.signature(getattr(airflow_fanout, name)).parameters.values()
    return [argument.name for argument in found if argument.kind is argument.KEYWORD_ONLY]


def test_the_readmes_dag_is_the_dag_that_runs() -> None:
    """Both pieces of code in the README stand, letter by letter, in the DAG file that `make demo` runs."""
    pieces = [text.split("```")[0].strip() for text in README.split("```python\n")[1:]]
    source = (ROOT / "dags" / "daily_call_report.py").read_text()
    assert len(pieces) == 2
    assert [piece in source for piece in pieces] == [True, True]


def test_the_first_thirty_lines_say_what_it_is_what_it_is_not_and_the_two_commands() -> None:
    """A newcomer needs no scrolling."""
    top = "\n".join(README.splitlines()[:30])
    assert all(word in top for word in ("Airflow plugin", "It isn't", "make demo", "make test"))


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
    """Each argument appears in the operators' page, within its own section or that of its owner."""
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
    "TooFewFiles": "A concurrency of … needs … open files",
    "StagingLost": "Every worker must see the same staging area",
    "JournalDamaged": "… is damaged",
    "EngineBlocked": "Calls of the report's function have ended",
    "EngineDied": "before its work was done",
    "EngineStopped": "The fetch was stopped",
    "EngineFailed": "The engine failed",
    "LongWait": "The API asked us to wait",
    "Superseded": "A newer try of this fetch has begun",
    "Tripped": "were not requested",
    "NotStarted": "before the API gave a first answer",
    "ApiDown": "The API gave no answer for",
    "StagingFailed": "needs free space",
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
    "KeysMeet": "can't hold two documents of this run",
    "DocumentRefused": "would refuse N of the first M documents",
    "LoadBroke": "Load failed with",
    "SharedTarget": "belongs to the instance with map index",
    "NoList": "There is no list: the extract task has returned nothing",
    "BadProxy": "The connection's proxy (…://…) can't be used",
    "FunctionMisfits": "doesn't fit its arguments",
    "EngineRefused": "The engine can't make requests over TLS",
    "NotReady": "The report isn't ready",
    "NotReachable": "The report isn't started",
    "UnusableList": "the list isn't what the report says of it",
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
