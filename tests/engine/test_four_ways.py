"""The same bytes from a server have the same outcome: declarative and by function, over libcurl and by requests."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.api.request import Request
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Retry, Timeouts
from airflow_fanout.wire.chunks import ChunkReader
from airflow_fanout.wire.coding import GZIP_MAGIC, decoded
from airflow_fanout.wire.framing import transfer_codings
from airflow_fanout.wire.head import MOST_HEADERS, pairs_of, receive_head
from tests.engine.answers import Generator, Raw
from tests.engine.harness import frozen, job, run, settings
from tests.http.servers import Connection, Seen, Server

DOCS = Path(__file__).parents[2] / "docs" / "operators.md"
MOST_EXCEPTIONS = 12
COUNT = 2_000
LONG_COUNT = 100_000
# More than any of the answers has.
MOST_BYTES = 1 << 24
WAYS = [(what, transport) for what in ("declarative", "function") for transport in ("curl", "requests")]
# A server may close a kept connection just when a request is sent on it. libcurl sends that once more by itself; over
# requests it is an attempt that has failed, also if it is the second one of an answer that can't be read.
AGAIN = Retry(max_attempts=4, initial_delay_s=0.01, budget=1.0, statuses=(), last_pass=False)
# What an outcome is compared by.
Verdict = tuple[Kind, Any]


def ask(session: Any, number: int) -> Any:
    """Ask as most functions do."""
    found = session.get(f"/{number}")
    found.raise_for_status()
    return found.json()


@contextmanager
def sending(seed: int) -> Iterator[Server]:
    """Run a server whose answer to a number is the seed's."""

    def handle(seen: Seen, connection: Connection) -> None:
        raw = Generator(seed, int(seen.path[1:])).answer()
        for piece in raw.pieces:
            connection.send(piece)
        if raw.closes:
            connection.hang_up()

    with Server(handle) as server:
        yield server


def outcomes(folder: Path, seed: int, numbers: range) -> dict[int, list[Outcome]]:
    """Return what each way makes of the answers to some numbers."""
    found: dict[int, list[Outcome]] = {number: [] for number in numbers}
    with sending(seed) as server:
        for place, (what, transport) in enumerate(WAYS):
            asked = Request(endpoint="/{0}") if what == "declarative" else ask
            # No answer takes long; a busy machine may, and that is no difference between the ways.
            slow = Timeouts(connect_s=300, read_s=300, total_s=600)
            how = settings(16, transport=transport, timeouts=slow, retry=AGAIN)
            done = run(job(frozen(folder / str(place), numbers), asked, server.origin, how))
            assert len(done.records) == len(numbers), done.last
            for record in done.records:
                outcome = Outcome(record.kind, record.result, record.status, record.failure)
                found[record.parameter].append(outcome)
    return found


def verdict(outcome: Outcome) -> Verdict:
    """Return what must be the same on all ways."""
    return outcome.kind, repr(outcome.result) if outcome.kind is Kind.OK else None


def exception_of(raw: Raw, of: list[Outcome]) -> str | None:
    """Return the documented exception that a difference falls under; `None` if there is none."""
    if two_faults(raw, of):
        return "two-faults"
    declarative, function = of[:2], of[2:]
    alike = {verdict(one) for one in declarative}, {verdict(one) for one in function}
    if any(len(verdicts) > 1 for verdicts in alike):
        return None
    refused, taken = declarative[0], function[0]
    status = refused.status or 0
    if refused.kind in (Kind.OK, Kind.NULL) and taken.kind is Kind.INVALID and is_file_of_gzip(raw):
        return "gzip-file"
    if refused.kind is Kind.HTTP_ERROR and not 400 <= status < 600 and taken.kind in (Kind.OK, Kind.NULL):
        return "statuses"
    return None


def is_file_of_gzip(raw: Raw) -> bool:
    """Return whether a body is a file of gzip when the codings that its `Content-Encoding` names are taken away."""
    answer = BytesIO(b"".join(raw.pieces))
    pairs = pairs_of(receive_head(answer))
    coding = ",".join(value for name, value in pairs if name.lower() == "content-encoding")
    chunks = ChunkReader(answer)
    body = b"".join(iter(lambda: chunks.read(MOST_BYTES), b"")) if transfer_codings(pairs) else answer.read()
    return (decoded(coding, body, MOST_BYTES) or b"").startswith(GZIP_MAGIC)


def two_faults(raw: Raw, of: list[Outcome]) -> bool:
    """Return whether a head is cut off or has too many lines, and nobody has taken the answer for one."""
    final = re.sub(rb"\A(HTTP/1.1 1.*?\n\r?\n(?=HTTP))+", b"", b"".join(raw.pieces), flags=re.DOTALL)
    head = re.split(rb"(?<=\n)\r?\n", final, maxsplit=1)
    return (len(head) == 1 or head[0].count(b"\n") > MOST_HEADERS) and {one.kind for one in of} == {
        Kind.INVALID,
        Kind.CONNECTION_ERROR,
    }


def documented() -> list[str]:
    """Return the names of the exceptions that the documentation has."""
    section = DOCS.read_text().partition("### The same answer on every way")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)


def compare(folder: Path, seed: int, numbers: range) -> list[str]:
    """Return the answers that the ways disagree on, beyond the documented exceptions, and how to see one again."""
    print(f"FOUR_WAYS_SEED={seed}, answers {numbers.start} to {numbers.stop - 1}")
    known = documented()
    wrong = []
    for number, of in outcomes(folder, seed, numbers).items():
        raw = Generator(seed, number).answer()
        if len({verdict(one) for one in of}) > 1 and exception_of(raw, of) not in known:
            told = "; ".join(
                f"{what} over {by}: {one.kind} {one.status} {str(one.result)[:60]} {str(one.failure)[:150]}"
                for (what, by), one in zip(WAYS, of, strict=True)
            )
            wrong.append(f"seed {seed}, answer {number}: {raw.pieces!r:.1500} closes={raw.closes}\n    {told}")
        results = {repr(one.result) for one in of if one.kind is Kind.OK}
        assert len(results) < 2, f"seed {seed}, answer {number}: two results are both ok: {of} {raw.pieces!r:.3000}"
    return wrong


def seed_of_this_run() -> int:
    """Return the seed that the environment names, or a new one."""
    return int(os.environ.get("FOUR_WAYS_SEED", "0")) or secrets.randbelow(1 << 32)


def test_the_exceptions_are_few_and_documented() -> None:
    """At most twelve kinds of answers may have different outcomes, each with its reason in the documentation."""
    assert 0 < len(documented()) <= MOST_EXCEPTIONS


@pytest.mark.timeout(7200)
def test_the_same_bytes_have_the_same_outcome(tmp_path: Path) -> None:
    """Two thousand answers out of a seed: one verdict on all four ways, and never two different results."""
    wrong = compare(tmp_path, seed_of_this_run(), range(COUNT))
    assert not wrong, f"{len(wrong)} answers\n" + "\n".join(wrong[:10])


def test_a_status_line_that_is_none_before_a_length_that_is_none(tmp_path: Path) -> None:
    """The length is what libcurl names; the answer begins with no status line all the same."""
    assert compare(tmp_path, 1901348887, range(733, 734)) == []


@pytest.mark.parametrize(
    ("seed", "number", "kind"),
    [(501514630, 844, Kind.OK), (3768069348, 60079, Kind.NULL), (3768069348, 87764, Kind.OK)],
    ids=["not named", "null", "gzip twice, named once"],
)
def test_a_file_of_gzip_that_no_header_names(tmp_path: Path, seed: int, number: int, kind: Kind) -> None:
    """Its `Content-Encoding` goes on in the next line: a request decompresses the file, a function gets its bytes."""
    [of] = outcomes(tmp_path, seed, range(number, number + 1)).values()
    assert [one.kind for one in of] == [kind, kind, Kind.INVALID, Kind.INVALID]
    assert exception_of(Generator(seed, number).answer(), of) == "gzip-file"


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_same_bytes_have_the_same_outcome_for_very_many(tmp_path: Path) -> None:
    """A hundred thousand answers, in batches."""
    seed = seed_of_this_run()
    wrong = []
    for start in range(0, LONG_COUNT, COUNT):
        wrong += compare(tmp_path / str(start), seed, range(start, start + COUNT))
    assert not wrong, f"{len(wrong)} answers\n" + "\n".join(wrong[:30])
