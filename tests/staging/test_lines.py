from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_fanout import codec
from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.lines import FRAME_BYTES, LinesWriter, read_lines
from airflow_fanout.staging.store import Location
from tests.staging.places import place

FRAMES = st.lists(st.lists(st.dictionaries(st.text("abc"), st.integers()), max_size=5), max_size=5)
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, frames: Sequence[Sequence[Any]]) -> list[bytes]:
    """Write values into a new file, a frame for each group; return the lines that must come back."""
    path.unlink(missing_ok=True)
    with LinesWriter(place(path)) as writer:
        for frame in frames:
            for value in frame:
                writer.append(value)
            writer.flush()
    return [codec.encode(value) for frame in frames for value in frame]


def read_until_refused(path: Path) -> tuple[list[bytes], bool]:
    """Return the lines that a file gives out, and whether it was refused in the end."""
    found: list[bytes] = []
    try:
        for line in read_lines(place(path)):
            found.append(line)  # noqa: PERF402 - those before the error are wanted
    except JournalDamaged:
        return found, True
    return found, False


@given(FRAMES)
@SAME_FOLDER
def test_lines_come_back_in_order(tmp_path: Path, frames: list[list[dict[str, int]]]) -> None:
    """What was appended is read, line by line, however it was flushed."""
    path = tmp_path / "lines"
    assert write(path, frames) == list(read_lines(place(path)))


@given(FRAMES, st.floats(0, 1))
@SAME_FOLDER
def test_a_cut_file_reads_as_its_first_lines(tmp_path: Path, frames: list[list[dict[str, int]]], share: float) -> None:
    """Cut at any byte, a file gives the first of its lines, whole; asking for its first bytes is the same."""
    path, cut = tmp_path / "lines", tmp_path / "cut"
    lines = write(path, frames)
    size = int(path.stat().st_size * share)
    cut.write_bytes(path.read_bytes()[:size])
    found = list(read_lines(place(cut)))
    assert found == lines[: len(found)]
    assert list(read_lines(place(path), size)) == found


def test_every_whole_frame_of_a_cut_file_is_read(tmp_path: Path) -> None:
    """A cut loses the frame it goes through, and none before it."""
    path, cut = tmp_path / "lines", tmp_path / "cut"
    frames = [[{"frame": frame, "line": line} for line in range(3)] for frame in range(3)]
    ends = []
    with LinesWriter(place(path)) as writer:
        for frame in frames:
            for value in frame:
                writer.append(value)
            writer.flush()
            ends.append(writer.written)
    data = path.read_bytes()
    counts = []
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        counts.append(len(list(read_lines(place(cut)))))
    assert ends[-1] == len(data)
    assert counts == [3 * sum(end <= size for end in ends) for size in range(len(data) + 1)]


@given(st.data())
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_never_gives_another_line(tmp_path: Path, data: st.DataObject) -> None:
    """With any byte changed, the file gives some of its first lines, unchanged, and mostly refuses the rest."""
    path = tmp_path / "lines"
    lines = write(
        path, [[{"tel": f"+1202555010{number}", "n": number * frame} for number in range(4)] for frame in range(3)]
    )
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found, _ = read_until_refused(path)
    assert found == lines[: len(found)]


def test_no_line_of_a_changed_frame_is_given_out(tmp_path: Path) -> None:
    """A frame is checked to its end before its first line is used, also one larger than what is read at once."""
    path = tmp_path / "lines"
    writer = LinesWriter(place(path))
    for number in range(100):
        writer.append(number)
    writer.flush()
    begin = writer.written
    noise = os.urandom(FRAME_BYTES // 2 - 1000).hex()
    for number in range(10):
        writer.append({"number": number})
    writer.append(noise)
    writer.close()
    content = bytearray(path.read_bytes())
    content[-10] ^= 0x55
    path.write_bytes(content)
    assert len(content) - begin > 1 << 17
    assert read_until_refused(path) == ([b"%d" % number for number in range(100)], True)


@pytest.mark.parametrize("content", [b"not compressed\n", b"\0" * 100, b"{}\n{}\n"], ids=repr)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file of another format is refused with its name."""
    path = tmp_path / "part-00000.jsonl.zst"
    path.write_bytes(content)
    with pytest.raises(JournalDamaged) as caught:
        list(read_lines(place(path)))
    assert caught.value.part == str(path)


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    """A second writer of the same part is refused: nobody's records are lost."""
    path = tmp_path / "lines"
    lines = write(path, [["first"]])
    with pytest.raises(FileExistsError):
        LinesWriter(place(path))
    assert list(read_lines(place(path))) == lines


def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    """SIGKILL takes only the lines that were not flushed."""
    path = tmp_path / "lines"
    program = (
        "import sys, pathlib, time\n"
        "from airflow_fanout.staging.lines import LinesWriter\n"
        "from tests.staging.places import place\n"
        "writer = LinesWriter(place(pathlib.Path(sys.argv[1])))\n"
        "writer.append('flushed'); writer.flush(); writer.append('waiting')\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert list(read_lines(place(path))) == [b'"flushed"']


def test_lines_are_flushed_by_themselves(tmp_path: Path) -> None:
    """What waits in memory stays below a frame's size: a long list flows through."""
    path = tmp_path / "lines"
    per_frame = -(-FRAME_BYTES // 20_005)
    readable = []
    with LinesWriter(place(path)) as writer:
        for number in range(40):
            writer.append(f"{number:020002d}")
            readable.append(len(list(read_lines(place(path)))))
    assert readable == [(number + 1) // per_frame * per_frame for number in range(40)]
    assert len(list(read_lines(place(path)))) == 40


def test_line_breaks_in_values_break_no_lines(tmp_path: Path) -> None:
    """A value with line breaks is still one line."""
    values = ["a\nb\r\nc", {"\n": "\u2028"}]
    path = tmp_path / "lines"
    write(path, [values])
    assert [codec.decode(line) for line in read_lines(place(path))] == values


def test_half_a_frame_is_taken_back(tmp_path: Path) -> None:
    """When the disk is full in the middle of a frame, what was written before stays readable, and what comes after."""
    path = tmp_path / "lines.zst"
    writer = LinesWriter(place(path))
    writer.append("first")
    writer.flush()
    writer.append(os.urandom(100_000).hex())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(read_lines(place(path))) == [b'"first"']
    writer.append("last")
    writer.close()
    assert list(read_lines(place(path))) == [b'"first"', b'"last"']


def test_a_closed_file_is_on_the_disk(tmp_path: Path) -> None:
    """All that was written is in the file before the disk is waited for, and closing returns after that."""
    path, synced = tmp_path / "lines", []

    def sync(descriptor: int) -> None:
        os.fsync(descriptor)
        synced.append([os.fstat(descriptor).st_ino, *read_lines(place(path))])

    writer = LinesWriter(Location(FolderStore(tmp_path, sync=sync), path.name))
    writer.append("first")
    writer.flush()
    writer.append("last")
    assert synced == []
    writer.close()
    assert synced == [[path.stat().st_ino, b'"first"', b'"last"']]
