from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.__main__ import ROOT
from tests.house.numbers import House, house, page

PROJECT = """
[tool.importlinter]
root_package = "airflow_fanout"
# A comment is no line of a contract.

[[tool.importlinter.contracts]]
id = "rooms"
type = "layers"
layers = ["upper | beside", "lower", "ground"]

[tool.other]
key = 1
"""
FILES = {
    "__init__.py": "if TYPE_CHECKING:\n    from airflow_fanout.upper import top\n",
    "ground.py": "def _used_twice():\n    return 1\n\n\nFIRST, SECOND = _used_twice(), _used_twice()\n",
    "upper/__init__.py": "",
    "upper/top.py": "from airflow_fanout import ground\nfrom airflow_fanout.lower.part import Part\n",
    "beside/side.py": "import msgspec\nfrom airflow_fanout.upper.top import Part\nNAME = 'manifest.json'\n",
    "lower/part.py": (
        "class Part:\n"
        '    """A sentence on manifest.json."""\n'
        "    def __init__(self):\n        self._small()\n        self._large()\n"
        "    def _small(self):\n        '''Return nothing.'''\n        return None\n"
        "    def _large(self):\n" + "        print()\n" * 6
    ),
    "lower/long.py": "def back():\n    from airflow_fanout.upper import top\n" + "\n" * 250,
}


@pytest.fixture
def tiny(tmp_path: Path) -> House:
    """Count a package of one module and three rooms."""
    for name, text in FILES.items():
        path = tmp_path / "plugins" / "airflow_fanout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    return house(tmp_path)


def test_rooms_are_the_folders(tiny: House) -> None:
    """The package itself is neither a room nor a module on its root."""
    assert tiny.root == ["ground"]
    assert tiny.rooms == ["beside", "lower", "upper"]


def test_an_arrow_is_counted_once_and_by_its_direction(tiny: House) -> None:
    """An import within a function counts, one for the type checker doesn't; within a layer no room imports another."""
    assert tiny.arrows == {("upper", "ground"), ("upper", "lower"), ("beside", "upper"), ("lower", "upper")}
    assert tiny.upwards == [("beside", "upper"), ("lower", "upper")]


def test_rooms_that_reach_each_other_are_a_cycle(tiny: House) -> None:
    """A room that only leads into a cycle isn't in it."""
    assert tiny.cycles == [["lower", "upper"]]


def test_lengths_are_counted_in_lines(tiny: House) -> None:
    """A function with its docstring, a private one's body without; comments and empty lines are no contract."""
    assert tiny.long_files == {"lower/long.py": 252}
    assert (tiny.privates, tiny.small_privates) == (3, 1)
    assert tiny.median_length == 3
    assert tiny.contract_lines == 6


def test_what_files_know_is_read_from_the_code(tiny: House) -> None:
    """A docstring that names a staged file knows nothing of it."""
    assert tiny.staging == ["beside/side.py"]
    assert tiny.styles == {"msgspec": 1}


def test_the_page_has_a_line_for_each_number(tiny: House) -> None:
    """Each line has a name, its number, and what was counted."""
    lines = [" ".join(line.split()) for line in page(tiny).splitlines()]
    assert "modules on the root 1 ground" in lines
    assert "… upwards 2 beside → upper, lower → upper" in lines
    assert "… cycles 1 lower ↔ upper" in lines
    assert "files over 250 lines 1 lower/long.py 252" in lines


def test_without_a_layers_contract_nothing_is_up_or_down(tiny: House, tmp_path: Path) -> None:
    """A number that can't be known isn't 0."""
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT.replace('"layers"', '"independence"'))
    assert house(tmp_path).upwards is None
    assert "no contract names layers" in page(house(tmp_path))


def test_the_package_is_a_house_in_order() -> None:
    """Three modules of the ground on the root; every import runs downwards, none in a circle; no file is long."""
    own = house(ROOT)
    assert own.root == ["codec", "errors", "masking"]
    assert own.upwards == []
    assert own.cycles == []
    assert own.long_files == {}
