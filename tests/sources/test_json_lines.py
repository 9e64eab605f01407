from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout import FileList
from tests.sources.reading import read, refused

TEL = "+12025550100"


def jsonl(folder: Path, content: str | bytes, **options: Any) -> FileList:
    """Return the list of a file with this content."""
    path = folder / "list.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return FileList(path=str(path), **options)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_each_line_is_a_parameter(pack: Any, tmp_path: Path) -> None:
    """Objects, texts, numbers and lists, in the file's order; empty lines are left out, and a mark at the beginning."""
    content = '\ufeff{"id": 12345678901234567890}\n\n"C2"\r\n[1, "x"]\n7'.encode()
    assert read(jsonl(tmp_path, pack(content))) == [{"id": 12345678901234567890}, "C2", [1, "x"], 7]


def test_fields_have_paths(tmp_path: Path) -> None:
    """A field may be anywhere in a line's object; all others are left out."""
    source = jsonl(tmp_path, '{"a": {"b": "C1"}, "tel": 1, "x": null}\n', fields={"id": "a.b", "tel": "tel"})
    assert read(source) == [{"id": "C1", "tel": 1}]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f'{{"tel": "{TEL}"', "line 3: it isn't JSON: Input data was truncated"),
        (f"{TEL},", "line 3: it isn't JSON: "),
        ("null", "line 3: it is null"),
        ('{"id": "C1"}', "line 3: the field 'tel' has no value"),
        ('{"tel": null}', "line 3: the field 'tel' has no value"),
        (f'"{TEL}"', "line 3: it is no object, so it has no field 'tel'"),
        (b'{"tel": "\xe9"}', "line 3: byte 10 of it (0xe9) isn't utf-8"),
    ],
)
def test_faults_name_their_line(line: str | bytes, problem: str, tmp_path: Path) -> None:
    """A broken line, one without the field, one in another encoding."""
    broken = line.encode() if isinstance(line, str) else line
    words, retry = refused(jsonl(tmp_path, b'{"tel": "1"}\n\n' + broken + b"\n"), names=("tel",))
    assert problem in words
    assert TEL not in words
    assert not retry
