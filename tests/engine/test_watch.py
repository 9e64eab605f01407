from __future__ import annotations

import os

import pytest

from airflow_fanout.launch.board import NOBODY, Board, Call, Sight
from airflow_fanout.launch.lines import Lines
from airflow_fanout.launch.surroundings import without_airflow
from airflow_fanout.launch.watch import Watchdog


def sight(steps: int, running: int = 7) -> Sight:
    """Return what a board says after so many steps."""
    return Sight(steps, running, (Call(running, 0.0),))


def told(watch: Watchdog, moments: list[tuple[float, int]], *, share: float = 1.0) -> list[float]:
    """Return the silences, in seconds, that are told of looks at these moments and steps."""
    silences = [watch.look(sight(steps), now_s, share=share) for now_s, steps in moments]
    return [silence.seconds for silence in silences if silence]


def test_a_silence_is_told_early_and_then_less_often() -> None:
    """A silence is told after ten seconds, each time that it has doubled, and when it has lasted for too long."""
    assert told(Watchdog(120.0), [(second, 1) for second in range(125)]) == [10, 20, 40, 80, 120]


def test_a_short_limit_is_told_once() -> None:
    """With a limit below ten seconds, that is when it is told first."""
    watch = Watchdog(3.0)
    assert told(watch, [(second, 1) for second in range(4)]) == [3]


def test_whoever_does_anything_is_not_silent() -> None:
    """One step within the limit ends a silence, however few they are."""
    assert told(Watchdog(5.0), [(second, second // 4) for second in range(100)]) == []


def test_a_machine_that_was_suspended_is_not_silent() -> None:
    """When the parent itself couldn't look for a minute, that minute doesn't count."""
    assert told(Watchdog(10.0), [(0, 1), (1, 1), (61, 1), (62, 1), (122, 1), (123, 2)]) == []


def test_a_process_that_is_stopped_is_not_silent() -> None:
    """As long as a signal has stopped the engine, nothing counts."""
    watch = Watchdog(10.0)
    assert told(watch, [(second, 1) for second in range(60)], share=0.0) == []
    assert told(watch, [(second, 1) for second in range(60, 65)]) == []


def test_the_board_says_what_is_under_way() -> None:
    """What is written on one side is read on the other: steps, who runs, and the calls, the longest first."""
    with_engine = Board.new(3)
    parent = Board(os.dup(with_engine.descriptor))
    assert parent.look() == Sight(0, NOBODY, ())
    places = [with_engine.begin(index, begun_s) for index, begun_s in ((9, 2.0), (0, 1.0), (4, 3.0))]
    with_engine.run(9)
    assert parent.look() == Sight(1, 9, (Call(0, 1.0), Call(9, 2.0), Call(4, 3.0)))
    with_engine.end(places[1])
    with_engine.run(NOBODY)
    with_engine.step()
    assert parent.look() == Sight(3, NOBODY, (Call(9, 2.0), Call(4, 3.0)))
    with_engine.close()
    parent.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    """Cut into pieces of any size, a stream gives the same lines, with those cut that are too long."""
    text = b"one\n\nfour five\nsix\n" + b"7" * 20 + b"\n" + b"8" * 8
    lines = Lines(8)
    found = [line for start in range(0, len(text), size) for line in lines.feed(text[start : start + size])]
    assert [line.decode() for line in found + lines.feed(b"")] == [
        "one",
        "",
        "four fiv… (cut: the line has 9 bytes)",
        "six",
        "77777777… (cut: the line has 20 bytes)",
        "88888888",
    ]
    assert lines.feed(b"") == []


def test_messages_are_never_cut() -> None:
    """Without a longest line, all of it is kept."""
    lines = Lines()
    assert lines.feed(b"x" * 100_000) == []
    assert lines.feed(b"y\n") == [b"x" * 100_000 + b"y"]


def test_the_environment_is_the_parents_without_airflows() -> None:
    """Whatever begins with AIRFLOW_ is left out, but for the home and what is said of the running task."""
    variables = {
        "AIRFLOW_CONN_API": "s",
        "AIRFLOW_VAR_X": "s",
        "AIRFLOW__CORE__FERNET_KEY": "s",
        "__AIRFLOW_SUPERVISOR_FD": "7",
        "AIRFLOW_UID": "1",
    }
    kept = {"AIRFLOW_HOME": "/a", "AIRFLOW_CTX_DAG_ID": "d", "PATH": "/bin", "MY_AIRFLOW_TEAM": "t", "HTTPS_PROXY": "p"}
    assert without_airflow({**variables, **kept}) == kept
