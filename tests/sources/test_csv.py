from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout import FileList
from airflow_fanout.errors import BadSetting
from tests.sources.reading import check, read, refused, refused_early

TELS = ["+12025550100", "+12025550101"]
GOOD = f"id,tel\r\nC1,{TELS[0]}\r\nC2,{TELS[1]}\r\n"


def csv(folder: Path, content: str | bytes, name: str = "list.csv", **options: Any) -> FileList:
    """Return the list of a file with this content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return FileList(path=str(path), **options)


def test_rows_are_objects_with_the_headers_names(tmp_path: Path) -> None:
    """Each row is a parameter, with the columns that the header names; the preflight reads the header alone."""
    source = csv(tmp_path, GOOD)
    check(source)
    assert read(source) == [{"id": "C1", "tel": TELS[0]}, {"id": "C2", "tel": TELS[1]}]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (gzip.compress(GOOD.encode()), {}),
        (gzip.compress(GOOD[:20].encode()) + gzip.compress(GOOD[20:].encode()), {}),
        (b"\xef\xbb\xbf" + GOOD.encode(), {}),
        (GOOD.replace(",", ";"), {"delimiter": ";"}),
        (GOOD.removeprefix("id,tel\r\n"), {"columns": ("id", "tel")}),
        (f'id,tel,note\nC1,{TELS[0]},"two\nlines, ""quoted"""\n\nC2,{TELS[1]},\n', {"fields": ("id", "tel")}),
        (GOOD.replace("id", "Customer No"), {"fields": {"id": "Customer No", "tel": "tel"}}),
        (GOOD[:-2], {}),
    ],
    ids=["gzip", "members", "bom", "semicolon", "headerless", "quoted", "renamed", "no-last-break"],
)
def test_forms_of_the_same_list(content: str | bytes, options: dict[str, Any], tmp_path: Path) -> None:
    """Compression, a byte order mark, delimiters, quotes, empty lines: the same two parameters."""
    assert read(csv(tmp_path, content, **options)) == read(csv(tmp_path, GOOD, "plain.csv"))


def test_names_choose_columns(tmp_path: Path) -> None:
    """What the report calls its values is all that is read; other columns may hold anything."""
    assert read(csv(tmp_path, "id,note\nC1,\n"), names=("id",)) == [{"id": "C1"}]


def test_encodings(tmp_path: Path) -> None:
    """A file in another encoding is read with `encoding`; without it, the line and the byte are named."""
    content = "id\nZoé\nJosé\n".encode("cp1252")
    assert read(csv(tmp_path, content, encoding="cp1252")) == [{"id": "Zoé"}, {"id": "José"}]
    words, retry = refused(csv(tmp_path, b"id\nC1\nJos\xe9\n"))
    assert "line 3: byte 4 of it (0xe9) isn't utf-8. Write encoding=" in words
    assert not retry


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"id,tel\nC1,{TELS[0]}\nC2\n", "line 3: it has 1 cell(s), and there are 2 columns: id, tel"),
        (f"id,tel\nC1,{TELS[0]},x\n", "line 2: it has 3 cell(s)"),
        (f'id,tel\n"a\nb",{TELS[0]}\nC2\n', "line 4: it has 1 cell(s)"),
        (f'id,tel\nC1,"{TELS[0]}\n', "line 2: it isn't CSV: unexpected end of data"),
        ("id,tel\nC1,\n", "line 2: the field 'tel' has no value. Leave such rows out, or write nullable=('tel',)"),
        ("id,tel\nC1,a\0b\n", "line 2: it has a NUL character"),
        (gzip.compress(f"id,tel\nC1,{TELS[0]}\n".encode() * 9000)[:-300], "its gzip data is damaged or cut off"),
    ],
    ids=["short", "long", "after-quoted", "unclosed", "empty", "nul", "cut"],
)
def test_faults_name_their_line(content: str | bytes, problem: str, tmp_path: Path) -> None:
    """What is wrong in a row is found when it is read, with the line in the file; no value is shown."""
    words, retry = refused(csv(tmp_path, content))
    assert problem in words
    assert str(tmp_path / "list.csv") in words
    assert TELS[0] not in words
    assert not retry


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        (GOOD, {"fields": ("id", "fax")}, "there is no column 'fax' for the field 'fax'; the columns are: 'id', 'tel'"),
        (GOOD.replace(",", ";"), {}, "line 1: its header has one column for the delimiter ',', but it has ';'"),
        ("id,tel,id\n", {"fields": ("id",)}, "there are 2 columns 'id'"),
        ("id,,tel\n", {}, "column 2 of the header has no name"),
        (GOOD, {"nullable": ("fax",)}, "nullable names 'fax'"),
        ("", {}, "it is empty: a CSV file begins with the names of its columns"),
        (GOOD.encode("utf-16"), {}, "it is in UTF-16: convert it to UTF-8"),
        (b"PK\x03\x04rest", {}, "it is a zip file or an Excel workbook"),
        (b"PAR1rest", {}, "it is a Parquet file: write format='parquet'"),
    ],
    ids=["missing", "delimiter", "twice", "nameless", "nullable", "empty", "utf16", "excel", "parquet"],
)
def test_the_preflight_looks_at_the_header(
    content: str | bytes, options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """What the beginning of the file says is known before the first request, and when it is read."""
    source = csv(tmp_path, content, **options)
    assert problem in refused_early(source)[0]
    assert problem in refused(source)[0]


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that isn't there, and a folder in its place, are found by the preflight."""
    words, retry = refused_early(FileList(path=f"{tmp_path}/{{{{ day }}}}.csv"), day="2026-11-20")
    assert f"{tmp_path}/2026-11-20.csv: there is no such file, seen from this worker" in words
    assert not retry
    folder = tmp_path / "list.csv"
    folder.mkdir()
    assert "a file, not a folder or a device" in refused_early(FileList(path=str(folder)))[0]


def test_an_object_of_a_storage(tmp_path: Path) -> None:
    """An address is opened by Airflow's ObjectStoragePath: read as a file is, and missing as one."""
    source = csv(tmp_path, gzip.compress(GOOD.encode()), "list.csv.gz")
    assert len(read(FileList(path=f"file://{source.path}"))) == 2
    assert "there is no such file" in refused_early(FileList(path=f"file://{tmp_path}/none.csv"))[0]
    words, retry = refused_early(FileList(path="nowhere://lists/list.csv"))
    assert "an address whose provider is installed on this worker" in words
    assert not retry


def test_nullable_columns(tmp_path: Path) -> None:
    """An empty cell of a column that may be empty is null."""
    assert read(csv(tmp_path, "id,tel\nC1,\n", nullable=("tel",))) == [{"id": "C1", "tel": None}]


def test_tabs(tmp_path: Path) -> None:
    """A `.tsv` file is separated by tabs."""
    assert read(csv(tmp_path, "id\ttel\nC1\t7\n", "list.tsv")) == [{"id": "C1", "tel": "7"}]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"path": "list.csv"}, "path"),
        ({"path": ""}, "path"),
        ({"format": "xlsx"}, "format"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": '"'}, "delimiter"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"encoding": "utf-99"}, "encoding"),
        ({"fields": "id"}, "fields"),
        ({"fields": {"id": 7}}, "fields['id']"),
        ({"fields": ("id",), "nullable": ("tel",)}, "nullable"),
        ({"columns": "id"}, "columns"),
        ({"conn_id": 7}, "conn_id"),
    ],
)
def test_mistakes_are_import_errors(options: dict[str, Any], field: str) -> None:
    """What can be known to be wrong while the DAG file is parsed is."""
    with pytest.raises(BadSetting) as caught:
        FileList(**{"path": "/lists/list.csv", **options})
    assert caught.value.field == field


def test_a_suffix_that_says_nothing(tmp_path: Path) -> None:
    """Without a known suffix, the format has to be named."""
    assert "format is None" in refused_early(csv(tmp_path, GOOD, "list"))[0]
    assert len(read(csv(tmp_path, GOOD, "list", format="csv"))) == 2
