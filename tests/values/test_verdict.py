from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.privacy.telling import PAUSE
from airflow_fanout.validation.rules import Rules
from airflow_fanout.validation.verdict import LONGEST_TEXT, MOST_CAUSES, Finding, SampleGroup, Tally, account, cut

OK = Outcome(Kind.OK, result=1)
NULL = Outcome(Kind.NULL)
BROKEN = Outcome(Kind.HTTP_ERROR, status=500, failure=Failure("HTTPError", "HTTP 500 Internal Server Error"))


def record(index: int, outcome: Outcome, parameter: Json = "+12025550100", attempts: int = 1) -> Record:
    """Return a record of a parameter that has ended."""
    return Record.of(index, parameter, outcome, attempts, 10.0)


def tally(outcomes: Iterable[Outcome], *, total: int | None = None, shown: bool = False) -> Tally:
    """Return the tally of outcomes, in order."""
    found = list(outcomes)
    made = Tally(total=len(found) if total is None else total, shown=shown)
    for index, outcome in enumerate(found):
        made.add(record(index, outcome))
    return made


def raised(number: int) -> Outcome:
    """Return the outcome of a function that raised an exception of a type of its own."""
    return Outcome(Kind.ERROR, failure=Failure(f"Error{number}", "oops", "report.py:3"))


def test_all_good_is_accepted() -> None:
    """A report whose every parameter has a result passes."""
    assert Rules().accept(tally([OK, OK, OK]))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OK])
def test_one_bad_outcome_is_enough(kind: Kind) -> None:
    """By default a single outcome that isn't ok fails the run, of whichever kind; the author may allow the kind."""
    counted = tally([OK] * 99 + [Outcome(kind)])
    assert not Rules().accept(counted)
    assert Rules(allow=frozenset({kind})).accept(counted)
    others = frozenset(Kind) - {kind, Kind.OK}
    assert not Rules(allow=others).accept(counted)


@given(st.integers(1, 2000), st.data())
def test_a_coverage_that_is_just_met_is_met(total: int, data: st.DataObject) -> None:
    """With a least share of n %, exactly n % good outcomes pass, and one fewer doesn't."""
    percent = data.draw(st.integers(1, 100))
    needed = -(-total * percent // 100)
    rules = Rules(min_coverage=percent / 100)
    enough = tally([OK] * needed + [NULL] * (total - needed))
    too_few = tally([OK] * (needed - 1) + [NULL] * (total - needed + 1))
    assert rules.accept(enough)
    assert not rules.accept(too_few)


def test_one_of_a_million_is_missed() -> None:
    """Shares are not rounded: 999,999 of 1,000,000 are not all."""
    counted = Tally(total=1_000_000)
    counted.kinds[Kind.OK] = 999_999
    counted.add(record(5, NULL))
    assert not Rules().accept(counted)
    assert Rules(min_coverage=0.999999).accept(counted)


def test_allowed_kinds_count_towards_the_coverage() -> None:
    """A kind that is allowed is good: nulls fill up what the coverage demands."""
    counted = tally([OK, NULL, NULL, BROKEN])
    assert Rules(allow=frozenset({Kind.NULL}), min_coverage=0.75).accept(counted)
    assert not Rules(min_coverage=0.75).accept(counted)


def test_a_good_result_counts_once() -> None:
    """Whoever allows `ok` has allowed nothing: a good result isn't counted a second time."""
    allowed = frozenset({Kind.OK})
    half = tally([Outcome(Kind.OK), Outcome(Kind.NULL)])
    assert not Rules(min_coverage=1.0, allow=allowed).accept(half)
    assert Rules(min_coverage=0.5, allow=allowed).accept(half)


def test_what_was_not_counted_is_not_good() -> None:
    """A parameter of which nothing is known fails the run as a bad one does."""
    assert not Rules().accept(tally([OK] * 9, total=10))


def test_an_empty_list_is_good() -> None:
    """Nothing was asked for, so nothing is missing."""
    assert Rules().accept(tally([]))
    assert tally([]).summary() == {"parameters": 0, "ok": 0, "kinds": {}}
    assert Rules().coverage(tally([])) == 1.0


@given(st.lists(st.sampled_from([OK, NULL, BROKEN]), max_size=200), st.integers(0, 200), st.booleans())
@example([OK] * 5 + [BROKEN], 5, False)
def test_the_coverage_is_what_is_judged(outcomes: list[Outcome], needed: int, allowed: bool) -> None:
    """Where the share that is shown is at least the one that is demanded, the run passes, and only there."""
    counted = tally(outcomes)
    share = min(needed / len(outcomes), 1.0) if outcomes else 1.0
    rules = Rules(allow=frozenset({Kind.NULL}) if allowed else frozenset(), min_coverage=share)
    assert (rules.coverage(counted) >= share) is rules.accept(counted)


def test_a_coverage_is_never_rounded_up() -> None:
    """One of a hundred million is missing: neither the number nor the message says that all are there."""
    counted = Tally(total=100_000_000)
    counted.kinds[Kind.OK] = 99_999_999
    assert Rules().coverage(counted) == 0.99999999
    assert not Rules().accept(counted)
    assert "(99.99 % are good, and 99.9999999 % must be)" in account(counted, Rules(min_coverage=0.999999999), "place")


@pytest.mark.parametrize("share", [-0.1, 1.1, 95, True, "0.9", None, float("nan")], ids=repr)
def test_a_coverage_is_a_share(share: float) -> None:
    """A percentage in place of a share is refused where it is written."""
    with pytest.raises(BadSetting) as caught:
        Rules(min_coverage=share)
    assert caught.value.field == "min_coverage"


def test_counts_are_by_kind() -> None:
    """The summary has each kind once, in a fixed order."""
    counted = tally([NULL, OK, BROKEN, OK], total=5)
    counted.add_not_tried([4])
    assert counted.summary() == {
        "parameters": 5,
        "ok": 2,
        "kinds": {"ok": 2, "null": 1, "http_error": 1, "not_tried": 1},
    }


def test_rows_are_items_of_lists() -> None:
    """A result that is a list has as many rows as items, any other result is one; what isn't good has none."""
    results = [[1, 2, 3], [], {"a": 1, "b": 2}, "text", None]
    counted = tally([*(Outcome(Kind.OK, result=result) for result in results), NULL, BROKEN])
    assert counted.rows == 3 + 0 + 1 + 1 + 1
    assert tally([Outcome(kind, result=[1, 2]) for kind in Kind if kind is not Kind.OK]).rows == 0


def test_causes_differ_by_what_helps_to_fix_them() -> None:
    """Outcomes are grouped by kind, status, type and line; the most frequent cause comes first."""
    counted = tally([raised(1), BROKEN, raised(1), raised(2), raised(1), BROKEN])
    assert list(Rules().refused(counted).items()) == [
        (SampleGroup(Kind.ERROR, None, "Error1", "report.py:3"), 3),
        (SampleGroup(Kind.HTTP_ERROR, 500, "HTTPError"), 2),
        (SampleGroup(Kind.ERROR, None, "Error2", "report.py:3"), 1),
    ]
    assert str(SampleGroup(Kind.ERROR, None, "KeyError", "report.py:3")) == "error KeyError at report.py:3"
    assert str(SampleGroup(Kind.HTTP_ERROR, 500, "HTTPError")) == "http_error 500 HTTPError"


def test_endless_causes_are_counted_together() -> None:
    """A function that fails in a new way each time fills neither memory nor message; the sum stays right."""
    counted = tally(raised(number) for number in range(1000))
    assert len(counted.causes) == 20 + 1
    assert sum(counted.causes.values()) == 1000
    assert counted.causes[SampleGroup(Kind.ERROR)] == 1000 - MOST_CAUSES
    assert len(account(counted, Rules(), "place").splitlines()) < 100


def test_a_few_samples_of_each_cause_are_kept() -> None:
    """The first of each cause are shown, so many as were asked for, however many there are."""
    counted = Tally(total=9, samples=2)
    for index, outcome in enumerate([NULL, NULL, NULL, BROKEN]):
        counted.add(record(index, outcome))
    counted.add_not_tried(range(4, 9))
    assert counted.samples(SampleGroup(Kind.NULL)) == ["#0 …00", "#1 …00"]
    assert len(counted.samples(SampleGroup(Kind.HTTP_ERROR, 500, "HTTPError"))) == 1
    assert counted.samples(SampleGroup(Kind.NOT_TRIED)) == ["#4", "#5"]
    by_default = tally([NULL] * 9)
    by_default.add_not_tried(range(9))
    assert [len(by_default.samples(SampleGroup(kind))) for kind in (Kind.NULL, Kind.NOT_TRIED)] == [3, 3]


def test_the_share_of_nulls_is_one_of_all_parameters() -> None:
    """Of an empty list it is 0; what was not tried is a parameter, too."""
    assert tally([NULL, OK, OK, NULL, BROKEN], total=8).null_share == 0.25
    assert tally([OK]).null_share == tally([]).null_share == 0.0


def test_a_text_is_cut_at_four_hundred_characters() -> None:
    """What just fits is left as it is; of a longer one the message says how long it was."""
    assert cut("x" * 400) == "x" * 400
    assert cut("x" * 400 + "y" * 1000) == "x" * 400 + "… (1,400 characters)"
    assert cut("x" * 401) == "x" * 400 + "… (401 characters)"


def failed(message: str, *, shown: bool) -> str:
    """Return the sample of a parameter whose request failed with a message, after three attempts."""
    counted = Tally(total=1, shown=shown)
    outcome = Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", message))
    counted.add(record(7, outcome, {"tel": "+12025550100"}, attempts=3))
    return counted.samples(SampleGroup(Kind.CONNECTION_ERROR, None, "ConnectionError"))[0]


def test_a_sample_is_masked() -> None:
    """Neither the parameter nor its copy in the exception's text is readable."""
    message = "Max retries exceeded with url: /calls/%2B12025550100 (for +12025550100)"
    assert failed(message, shown=False) == (
        "#7 {tel: …00}: ConnectionError: Max retries exceeded with url: /calls/…00 (for …00) after 3 attempts"
    )


def test_a_sample_is_shown_where_the_report_says_so() -> None:
    """Parameters that are no personal data appear as JSON."""
    shown = failed("refused for +12025550100", shown=True)
    assert shown == '#7 {"tel":"+12025550100"}: ConnectionError: refused for +12025550100 after 3 attempts'


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (
            Outcome(Kind.ERROR, failure=Failure("LookupError", "no calls of Jane Doe", "report.py:17")),
            "LookupError: at report.py:17 (the journal has its text)",
        ),
        (
            Outcome(Kind.HTTP_ERROR, status=404, failure=Failure("HTTPError", "HTTP 404 No Jane Doe")),
            "HTTPError: HTTP 404 Not Found",
        ),
        (
            Outcome(Kind.HTTP_ERROR, status=599, failure=Failure("HTTPError", "HTTP 599 No Jane Doe")),
            "HTTPError: HTTP 599",
        ),
        (
            Outcome(Kind.HTTP_ERROR, status=503, failure=Failure("HTTPError", f"HTTP 503 Jane{PAUSE} 90 s, too long")),
            "HTTPError: HTTP 503 Service Unavailable; the API asked us to wait 90 s, too long",
        ),
        (
            Outcome(Kind.ERROR, failure=Failure("ForkRefused", "a function can't fork", "report.py:17")),
            "ForkRefused: a function can't fork",
        ),
        (
            Outcome(Kind.TIMEOUT, failure=Failure("ReadTimeout", "Read timed out.", "report.py:17")),
            "ReadTimeout: Read timed out.",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Outcome) else "",
)
def test_a_sample_has_nothing_that_an_author_or_a_server_wrote(outcome: Outcome, told: str) -> None:
    """Both may quote an answer: the log says where to look, and the journal has the text."""
    counted = tally([outcome])
    [cause] = counted.causes
    assert counted.samples(cause) == [f"#0 …00: {told}"]
    [shown] = tally([outcome], shown=True).samples(cause)
    assert outcome.failure is not None
    assert outcome.failure.message in shown


def test_an_exception_that_quotes_a_whole_answer_is_cut() -> None:
    """A message of a megabyte doesn't become the task's log, and a cut doesn't lay a masked value bare."""
    text = failed("x" * (LONGEST_TEXT - 5) + "+12025550100" + "y" * 1_000_000, shown=False)
    assert len(text) < LONGEST_TEXT + 100
    assert "+1202" not in text


def test_the_account_says_how_much_why_and_what_to_do() -> None:
    """The message has the number, the counts by kind, each cause with its samples, the way on and the place."""
    counted = tally([OK] * 1997 + [NULL, BROKEN], total=2000)
    counted.add_not_tried([1999])
    assert account(counted, Rules(), "staging/daily") == (
        "3 of 2,000 parameters have no valid result. Nothing was loaded.\n"
        "By kind: ok 1,997, null 1, http_error 1, not_tried 1.\n"
        "  1 × null\n"
        "      #1997 …00\n"
        "  1 × http_error 500 HTTPError\n"
        "      #1998 …00: HTTPError: HTTP 500 Internal Server Error\n"
        "  1 × not_tried\n"
        "      #1999\n"
        "To request only these again, clear the fetch task with its downstream tasks. Every outcome is in the "
        "journal, staging/daily."
    )


def test_the_account_names_what_was_demanded() -> None:
    """Where less than all was enough, the message says how much that was; allowed kinds aren't blamed."""
    text = account(tally([OK, NULL, BROKEN]), Rules(allow=frozenset({Kind.NULL}), min_coverage=0.95), "place")
    assert text.startswith("1 of 3 parameters have no valid result (66.66 % are good, and 95 % must be).")
    assert "× null" not in text
    assert "By kind: ok 1, null 1, http_error 1." in text


FOUND = [Finding("Unique('tel')", "3 results repeat the value of an earlier one: #1 …43"), Finding("Over(f)", "a\nb")]


def test_the_account_lists_the_checks_that_failed() -> None:
    """Each has a line with its name, and what an author's function says stays together; then what to do."""
    assert account(tally([OK, OK]), Rules(), "staging/daily", FOUND, 5) == (
        "2 of 5 checks failed. Nothing was loaded.\n"
        "  Unique('tel'): 3 results repeat the value of an earlier one: #1 …43\n"
        "  Over(f): a\n"
        "      b\n"
        "If a check is wrong, fix it, then clear the validate task. If the answers are wrong, clear the run from its "
        "extract task on: clearing fetch alone keeps the answers that it has. "
        "Every outcome is in the journal, staging/daily."
    )


def test_the_account_has_what_is_missing_before_what_is_wrong() -> None:
    """One message has both, and says for both what to do."""
    lines = account(tally([OK, NULL]), Rules(), "staging/daily", FOUND[:1], 1).split("\n")
    assert [line for line in lines[:-1] if not line.startswith(" ")] == [
        "1 of 2 parameters have no valid result. Nothing was loaded.",
        "By kind: ok 1, null 1.",
        "1 of 1 checks failed.",
    ]
    assert lines[-1].startswith(
        "To request only those without a valid result again, clear the fetch task with its downstream tasks. "
        "If a check is wrong, fix it, then clear the validate task. "
    )
