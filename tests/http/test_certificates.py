from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.api.certificates import problem_with_files
from airflow_fanout.api.endpoint import Endpoint
from tests.http.servers import authority

NOWHERE = "/nowhere/file.pem"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with an authority, a server's certificate with its key, and a file that is neither."""
    authority(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    authority(other)
    (tmp_path / "garbage.pem").write_text("no certificate")
    return tmp_path


def problem(environment: dict[str, str] | None = None, *, scheme: str = "https", **more: Any) -> str | None:
    """Return what is wrong with an endpoint's files."""
    return problem_with_files(Endpoint(base_url=f"{scheme}://api.example", **more), environment or {})


def test_good_files_are_no_problem(files: Path) -> None:
    """An authority's file, a folder, a client's certificate with its key; and a connection without any."""
    ca, server = str(files / "ca.pem"), str(files / "server.pem")
    for more in (
        {},
        {"verify": ca},
        {"verify": str(files)},
        {"cert": server},
        {"cert": (server, server)},
        {"verify": False},
    ):
        assert problem(**more) is None  # type: ignore[arg-type] # of several types


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"verify": NOWHERE},
            f"names the certificates of {NOWHERE} (`verify` in its extra), which can't be read: No such",
        ),
        ({"verify": "{folder}/garbage.pem"}, "garbage.pem (`verify` in its extra), which can't be read: "),
        ({"cert": NOWHERE}, f"names the file {NOWHERE} (`cert` in its extra), which can't be read: No such file"),
        ({"cert": ("{folder}/server.pem", NOWHERE)}, f"names the file {NOWHERE} (`cert` in its extra)"),
        ({"cert": "{folder}/garbage.pem"}, "names a client certificate and a key that can't be used together"),
        ({"cert": ("{folder}/server.pem", "{folder}/other/server.pem")}, "The key has to be the certificate's"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(files: Path, more: dict[str, Any], words: str) -> None:
    """Before anything is sent: which file, which field of the connection, and why."""

    def there(value: Any) -> Any:
        return value.format(folder=files) if isinstance(value, str) else tuple(map(there, value))

    found = problem(**{name: there(value) for name, value in more.items()})
    assert found is not None
    assert words in found


def test_the_environment_may_name_the_authorities() -> None:
    """As for requests; the connection's own word wins, and one that doesn't trust the environment isn't asked."""
    environment = {"REQUESTS_CA_BUNDLE": NOWHERE}
    found = problem(environment)
    assert found is not None
    assert "(the environment variable REQUESTS_CA_BUNDLE)" in found
    assert problem(environment, trust_env=False) is None
    assert problem(environment, verify=False) is None
    assert problem(environment, scheme="http") is None
