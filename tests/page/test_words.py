"""What the page says of a run, and what it advises: from what tasks have left, without an Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_fanout.model.waits import Reason, Wait
from airflow_fanout.page.advice import advice_on
from airflow_fanout.page.known_dag import KnownDag
from airflow_fanout.page.outline import Outline, outlines
from airflow_fanout.page.rows import StoredRun, StoredTask
from airflow_fanout.page.run_view import run_view
from airflow_fanout.page.runbook import FILE, sections
from airflow_fanout.page.steps import steps_of
from airflow_fanout.page.words import sentence_of

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
FOUR = Outline(name="calls", tasks={name: (name,) for name in ("extract", "fetch", "validate", "load")})
WAITS = {"progress": {"parameters": 2000, "done": 9, "waits_for": "X"}}
GOING = {"parameters": 2000, "done": 9, "left_s": 40}
# By the author's own rate, and by what the API takes.
LIMITED = {"progress": {**GOING, "limits": {"limit": 5, "rate_limit_per_s": 500.0}}}
REFUSED = {"progress": {**GOING, "limits": {"limit": 5, "rate_limit_per_s": 50.0, "refuses": True}}}
AFTER = 3 * ["upstream_failed"]
MISSING_42 = "Fetch the missing 42 again"
STATES = ("success", "success", "failed", "upstream_failed")


def task(task_id: str, state: str | None, index: int = -1, **left: Any) -> StoredTask:
    """Return a task that began a minute ago."""
    times = {"start": NOW - timedelta(seconds=60), "end": NOW if state in ("success", "failed") else None}
    return StoredTask(task_id=task_id, map_index=index, state=state, **times, try_number=1, max_tries=2, **left)


def steps(*states: str | None, **left: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a report in these states."""
    names = ("extract", "fetch", "validate", "load")
    tasks = [task(name, state, **left.get(name, {})) for name, state in zip(names, states, strict=True)]
    return steps_of(FOUR, tasks, NOW)


def note(message: str | None = "Somebody has to act.", causes: dict[str, int] | None = None) -> dict[str, Any]:
    """Return what a failed task has left."""
    counts = None if causes is None else {"total": 20_000, "causes": causes}
    return {"failure": {"error": "Tripped", "message": message, "counts": counts}}


def stored_task(task_id: str, kind: str, *downstream: str, **more: Any) -> dict[str, Any]:
    """Return a task as Airflow stores it."""
    fields = {"task_id": task_id, "task_type": kind, "downstream_task_ids": [*downstream], **more}
    return {"__type": "operator", "__var": fields}


def test_a_task_belongs_to_the_nearest_extract() -> None:
    """Two reports one after the other, and between them a task that isn't ours."""
    tasks = [
        stored_task("a.extract", "ExtractOperator", "a.fetch"),
        stored_task("a.fetch", "GeventFetchOperator", "a.load", _is_mapped=True),
        stored_task("a.load", "MongoLoadOperator", "mail"),
        stored_task("mail", "EmailOperator", "extract"),
        stored_task("extract", "ExtractOperator", "mine"),
        stored_task("mine", "MyFetch", template_fields=["request_template", "parameters", "shard", "refetch"]),
    ]
    first, second = outlines({"dag": {"tasks": tasks}})
    assert (first.name, first.task_ids, first.is_mapped) == ("a", ("a.extract", "a.fetch", "a.load"), True)
    assert (second.name, second.tasks) == ("extract", {"extract": ("extract",), "fetch": ("mine",)})
    assert outlines({"dag": {"tasks": tasks[3:4]}}) == []
    assert outlines({}) == []


@pytest.mark.parametrize(
    ("state", "known", "tone", "words"),
    [
        ("queued", steps(None, None, None, None), "waiting", "The run has not begun its first step."),
        ("running", steps("queued", None, None, None), "waiting", "Extract waits for a worker."),
        (
            "running",
            steps("running", None, None, None, extract={"progress": {"items": 1200}}),
            "busy",
            "Extract has read 1,200 items of the list.",
        ),
        ("running", steps("success", "running", None, None), "busy", "Fetch starts its engine."),
        (
            "running",
            steps("success", "running", None, None, fetch=WAITS),
            "waiting",
            "Fetch waits: X.",
        ),
        ("running", steps("success", "running", None, None, fetch=LIMITED), "busy", "Fetch is under way: 9 of 2,000"),
        ("running", steps("success", "running", None, None, fetch=REFUSED), "busy", "The API slows fetch down"),
        ("running", steps("success", "up_for_retry", None, None), "waiting", "Fetch is tried again soon"),
        (
            "running",
            steps("success", "deferred", None, None, fetch={"progress": {"waits_for": "the API wants a pause"}}),
            "waiting",
            "Fetch is deferred: the API wants a pause.",
        ),
        ("running", steps("success", "success", "success", None), "waiting", "Load has not begun yet."),
        ("failed", steps("failed", *3 * ["upstream_failed"], extract=note()), "bad", "There is no list"),
        (
            "failed",
            steps("success", "failed", *2 * ["upstream_failed"], fetch=note(causes={"not_tried": 1450})),
            "bad",
            "Fetch has failed: 1,450 of 20,000 parameters have no result yet.",
        ),
        ("failed", steps(*STATES, validate=note(causes={"timeout": 42})), "bad", "42 of 20,000 parameters"),
        (
            "failed",
            steps(*STATES, validate={**note(causes={}), "progress": {"checks_run": [{"check": "x", "problem": "y"}]}}),
            "bad",
            "All results are there, but a check failed.",
        ),
        ("failed", steps(*3 * ["success"], "failed", load=note()), "bad", "The results are valid, but load"),
        (
            "success",
            steps(*4 * ["success"], load={"returned": {"documents": 20, "collection": "reports.calls"}}),
            "good",
            "20 documents are in reports.calls.",
        ),
        (
            "success",
            steps(*4 * ["success"], load={"returned": {"documents": 20, "collection": "c", "left_out": 3}}),
            "waiting",
            "20 documents are loaded, and 3 parameters are left out.",
        ),
        ("failed", steps(*4 * ["success"]), "good", "The run has succeeded."),
    ],
)  # fmt: skip
def test_the_page_says_what_a_run_is_doing(state: str, known: list[dict[str, Any]], tone: str, words: str) -> None:
    """A sentence for each state, with its counts."""
    sentence = sentence_of(state, known, NOW)
    assert sentence.tone == tone
    assert sentence.headline.startswith(words)


@pytest.mark.parametrize(
    ("known", "section", "label", "tasks"),
    [
        (steps("failed", *AFTER, extract=note()), "failed-in-extract", "Read the list again", "extract"),
        (
            steps("success", "failed", *2 * ["upstream_failed"], fetch=note(causes={"not_tried": 1450})),
            "failed-in-fetch",
            "Fetch the missing 1,450 again",
            "fetch",
        ),
        (steps(*STATES, validate=note(causes={"timeout": 42})), "failed-in-validate", MISSING_42, "fetch"),
        (steps(*STATES, validate=note(causes={})), "failed-in-validate", "Validate again", "validate"),
        (steps(*3 * ["success"], "failed", load=note()), "failed-in-load", "Load again", "load"),
        (steps(*3 * ["success"], "failed"), "the-task-ended-without-a-word", "Run load again", "load"),
    ],
)  # fmt: skip
def test_one_action_is_right(known: list[dict[str, Any]], section: str, label: str, tasks: str) -> None:
    """After a failed validate it is the fetch that is repeated, unless nothing is missing."""
    advice = advice_on(known)
    assert advice is not None
    assert (advice.section, advice.label, advice.task_ids) == (section, label, (tasks,))
    assert section in sections()


def test_nothing_is_advised_where_nothing_has_failed() -> None:
    """A run that goes on, or has gone well."""
    assert advice_on(steps("success", "running", None, None)) is None
    assert advice_on(steps(*4 * ["success"])) is None


def test_what_a_repeated_fetch_costs_is_counted_by_the_last_one() -> None:
    """Requests for each parameter, and seconds at the last rate."""
    fetched = {"returned": {"parameters": 20_000, "done": 20_000, "requests": 40_000, "rate_per_s": 10.0}}
    advice = advice_on(steps(*STATES, fetch=fetched, validate=note(causes={"timeout": 42})))
    assert advice is not None
    assert advice.cost == "About 84 requests, for about 4 s at the last rate. What was fetched isn't requested again."


def test_shards_are_summed_up() -> None:
    """Counts and rates are added, latencies are the slowest shard's, and what one waits for isn't what all do."""
    parts = [
        {"parameters": 10, "done": 4, "ok": 4, "kinds": {"ok": 4}, "rate_per_s": 1.5, "p95_ms": 20.0, "waits_for": "X"},
        {"parameters": 10, "done": 7, "ok": 6, "kinds": {"ok": 6, "timeout": 1}, "rate_per_s": 3.0, "p95_ms": 90.0},
        {"parameters": 9, "done": 9, "ok": 9, "kinds": {"ok": 9}, "rate_per_s": 3.0, "p95_ms": 30.0},
    ]
    for part in parts[:2]:
        part |= {"failures": {"timeout": 2}, "budget": {"name": "crm", "share_per_s": 5.0, "rate_per_s": 40.0}}
    tasks = [task("fetch", "running", index, progress=part) for index, part in enumerate(parts)]
    [fetch] = steps_of(Outline(name="calls", tasks={"fetch": ("fetch",)}), tasks, NOW)
    numbers = fetch["numbers"]
    assert (numbers["parameters"], numbers["done"], numbers["kinds"]) == (29, 20, {"ok": 19, "timeout": 1})
    assert (numbers["rate_per_s"], numbers["left_s"], numbers["p95_ms"]) == (4.5, 2, 90.0)
    assert numbers["waits_for"] is None
    assert numbers["failures"] == {"timeout": 4}
    assert numbers["budget"] == {"name": "crm", "share_per_s": 10.0, "rate_per_s": 40.0}
    assert [shard["map_index"] for shard in fetch["shards"]] == [0, 1, 2]


def test_where_the_list_is_stays_on_the_server() -> None:
    """A browser gets the counts of extract, of whichever shard, and no path."""
    listed = [{"directory": "secret", "parameters": 9, "day": "2026-11-22"}] * 3
    [extract] = steps_of(
        Outline(name="calls", tasks={"extract": ("extract",)}), [task("extract", "success", returned=listed)], NOW
    )
    assert extract["numbers"] == {"parameters": 9, "day": "2026-11-22"}


def test_params_are_masked_as_in_alerts() -> None:
    """A text may be a telephone number, and a name a secret's; days, short numbers and the DAG's own values aren't."""
    conf = {"tel": "+12025550142", "day": "2026-11-22", "concurrency": 50, "region": "north", "dry": True,
            "api_key": "north", "kennwort": 7, "only": ["+12025550142"], "note": "", "+12025550143": 1}  # fmt: skip
    run = StoredRun(
        id=1, dag_id="dag", run_id="run", state="success", run_type="manual", run_after=NOW, start=NOW, end=NOW,
        by="maria", conf=conf, backfill_id=None,
    )  # fmt: skip
    schema = {"__type": "dict", "__var": {"type": "string", "enum": ["north", "south"]}}
    stored = {"dag": {"params": [["region", {"default": "south", "schema": schema}], ["tel", {"schema": {}}]]}}
    view = run_view(run, KnownDag.of(stored, ()), [], NOW, ["kennwort"])
    assert view["params"] == [
        *[("tel", "…42"), ("day", "2026-11-22"), ("concurrency", "50"), ("region", "north"), ("dry", "true")],
        *[("api_key", "…"), ("kennwort", "…"), ("only", "1 value"), ("…", "1")],
    ]


@pytest.mark.parametrize(("name", "hours"), [("Europe/Berlin", 1), (-5 * 3600, -5), ("UTC", 0)])
def test_days_are_those_of_the_dags_time_zone(name: str | int, hours: int) -> None:
    """By its name, or as Airflow stores one that has none."""
    dag = KnownDag.of({"dag": {"timezone": name}}, ())
    assert NOW.astimezone(dag.zone).utcoffset() == timedelta(hours=hours)


def test_subclasses_are_found_by_their_fields_and_neighbours() -> None:
    """An operator with such fields that isn't before one of ours is none."""
    tasks = [
        stored_task("a", "MyExtract", "b", "c", "d", template_fields=["limit", "more"], template_ext=[".sql"]),
        stored_task("b", "MyFetch", "c", template_fields=["request_template", "parameters", "shard", "refetch"]),
        stored_task("c", "MyValidate", "d", template_fields=["parameters"]),
        stored_task("d", "MyLoad", "e", template_fields=["parameters", "database", "collection"]),
        stored_task("e", "SQLExecuteQueryOperator", template_fields=["limit", "parameters"], template_ext=[".sql"]),
    ]
    [report] = outlines({"dag": {"tasks": tasks}})
    assert report.tasks == {"extract": ("a",), "fetch": ("b",), "validate": ("c",), "load": ("d",)}


def test_the_runbook_is_that_of_the_documentation() -> None:
    """The plugin has its own copy of these sections, word by word."""
    text = (FILE.parents[3] / "docs" / "operating.md").read_text()
    assert FILE.read_text().rstrip() in text
    failed = sections()["failed-in-validate"]["blocks"]
    assert [block["kind"] for block in failed] == ["p", "ol"]
    assert len(failed[1]["items"]) == 4


BUDGET = {"name": "calls", "rate_per_s": 100.0, "share_per_s": 25.0, "left": None, "renewal": None}
SHARED = {"parameters": 2000, "done": 9, "limits": {"rate_limit_per_s": 25.0}}


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({}, "The budget calls allows 100 requests per second, 25 of them to this fetch."),
        (
            {"left": 8_000, "renewal": "2026-11-27T00:00:00+00:00"},
            (
                "The budget calls allows 100 requests per second, 25 of them to this fetch. Of the quota, 8,000 "
                "requests are left until 2026-11-27 00:00 UTC."
            ),
        ),
        ({"is_offline": True}, "MongoDB, which keeps the budget calls, can't be reached."),
    ],
)
def test_a_fetch_within_a_budget_says_what_it_allows(more: dict[str, Any], detail: str) -> None:
    """Its rate is no sign that the API has refused anything."""
    progress = {**SHARED, "budget": BUDGET | more}
    sentence = sentence_of("running", steps("success", "running", None, None, fetch={"progress": progress}), NOW)
    assert sentence.headline == "Fetch is under way: 9 of 2,000 parameters are done."
    assert sentence.detail == f"{detail} There is nothing to do."


def test_shards_add_up_their_shares_and_the_first_to_go_on_is_named() -> None:
    """All of them wait for the same renewal, more or less."""
    waiting = {"waits_for": "the renewal of the quota", "budget": BUDGET}
    shards = [
        task(
            "fetch",
            "deferred",
            index,
            progress={**SHARED, **waiting, "deferred_until": f"2026-11-27T00:00:0{index}+00:00"},
        )
        for index in range(2)
    ]
    others = [task("extract", "success"), task("validate", None), task("load", None)]
    shown = steps_of(FOUR, [*others, *shards], NOW)
    numbers = next(step["numbers"] for step in shown if step["name"] == "fetch")
    assert numbers["budget"]["share_per_s"] == 50.0
    sentence = sentence_of("running", shown, NOW)
    assert sentence.headline == "Fetch is deferred: the renewal of the quota."
    assert sentence.detail == (
        "It holds no worker meanwhile. It continues by itself in 4 d 21 h (2026-11-27 00:00 UTC); there is nothing to "
        "do."
    )


def fetching(**progress: Any) -> Any:
    """Return what the page says of a fetch that goes on, or hasn't ended, by what it shows of itself."""
    known = {"parameters": 2000, "done": 900, **progress}
    return sentence_of("running", steps("success", "running", None, None, fetch={"progress": known}), NOW)


def test_a_wait_says_since_when_and_until_when() -> None:
    """An outage ends the try after a while; a pause that the API has asked for is over by itself."""
    outage = Wait(Reason.OUTAGE, "the API gives no answer (refused); single requests test whether it is back",
                  NOW.timestamp() - 34, NOW.timestamp() + 266)  # fmt: skip
    sentence = fetching(waits_for=str(outage), wait=outage.plain())
    assert sentence.headline == "Fetch waits: the API gives no answer (refused)."
    assert sentence.detail == (
        "Since 02:59:26 UTC. Single requests test whether it is back. 900 of 2,000 parameters are done. It continues "
        "by itself; there is nothing to do. If there is no answer until 03:04:26 UTC, this try fails; what was fetched "
        "is kept."
    )
    pause = Wait(Reason.PAUSE, "the API asked us to wait", NOW.timestamp(), NOW.timestamp() + 40)
    sentence = fetching(waits_for=str(pause), wait=pause.plain())
    assert sentence.headline == "Fetch waits: the API asked us to wait."
    assert sentence.detail.endswith(
        "It continues by itself in 40 s (03:00:40 UTC) at the latest; there is nothing to do."
    )


def test_a_retry_says_why_it_is_one() -> None:
    """What the try that is over has left."""
    sentence = sentence_of(
        "running", steps("success", "up_for_retry", None, None, fetch=note("The API was down.")), NOW
    )
    assert sentence.detail == "The API was down.\nWhat was fetched is kept. Airflow tries again by itself."


def test_shards_that_the_api_slows_down_say_so() -> None:
    """Each has limits of its own; those of the whole are their sum."""
    part = {"parameters": 10, "done": 4, "left_s": 3, "rate_per_s": 1.0}
    part |= {"limits": {"limit": 5, "rate_limit_per_s": 20.0, "paused_s": 0, "outage": False, "refuses": True}}
    shards = [task("fetch", "running", index, progress=part) for index in range(2)]
    others = [task("extract", "success"), task("validate", None), task("load", None)]
    sentence = sentence_of("running", steps_of(FOUR, [*others, *shards], NOW), NOW)
    assert sentence.headline == "The API slows fetch down: 8 of 20 parameters are done."
    assert "so at most 40 per second are sent" in sentence.detail
