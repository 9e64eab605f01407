"""Which worker of pytest-xdist runs which test, and when.

A file is one worker's, since its tests may share what takes a while to start. The tests that wait for an Airflow are
each for itself: they begin first, the longest of all before the others, so that none is left to the end. When the last
of them is over, so is the Airflow that they share: idle, it would go on to take a quarter of a core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

from tests.ids import without_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest
    from xdist.workermanage import WorkerController

LONGEST_FIRST = ("own_airflow", "airflow", "slow")
APART = ("tests/integration/", "tests/harness/test_airflow.py")
# But for these, whose tests look at the same runs, or share an Airflow that is nobody else's.
TOGETHER = ("tests/integration/test_bad_input.py", "tests/integration/test_disturbed.py")
# All files of a folder that has one Airflow for all of its tests.
ONE_UNIT = ("tests/page/",)


def place_in_the_order(item: pytest.Item) -> int:
    """Return a number by which tests are sorted that are distributed."""
    marks = [place for place, name in enumerate(LONGEST_FIRST) if item.get_closest_marker(name)]
    return marks[0] if marks else len(LONGEST_FIRST)


def unit_of(nodeid: str) -> str:
    """Return the name of the unit of work that a test belongs to."""
    file = nodeid.split("::", 1)[0]
    if folder := next((folder for folder in ONE_UNIT if file.startswith(folder)), None):
        return folder
    return nodeid if file.startswith(APART) and file not in TOGETHER else file


def stable(nodeids: Iterable[str]) -> Iterator[str]:
    """Yield the tests' names without the addresses that objects have in one of the workers; each name once."""
    seen: Counter[str] = Counter()
    for nodeid in nodeids:
        plain = without_addresses(nodeid)
        seen[plain] += 1
        yield plain if seen[plain] == 1 else f"{plain}#{seen[plain]}"


class Distribution(LoadScopeScheduling):
    """Hands out units of work in the order of the tests, each to the worker that is next to be idle."""

    def __init__(self, config: pytest.Config, log: object, when_airflow_is_over: Callable[[], None]) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._when_airflow_is_over = when_airflow_is_over
        self._waiting_for_airflow: set[str] = set()

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take the names of the tests that a worker has found; they have to be those of all workers."""
        super().add_node_collection(node, list(stable(collection)))

    def schedule(self) -> None:
        """Hand out the first tests."""
        is_first = self.collection is None
        super().schedule()
        if is_first:
            self._waiting_for_airflow = {nodeid for nodeid in self.collection or () if nodeid.startswith(APART)}

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Note that a worker has run a test."""
        super().mark_test_complete(node, item_index, duration)
        self._is_over(self.registered_collections[node][item_index])

    def _is_over(self, nodeid: str) -> None:
        if nodeid in self._waiting_for_airflow:
            self._waiting_for_airflow.remove(nodeid)
            if not self._waiting_for_airflow:
                self._when_airflow_is_over()

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down:
            return
        # A worker begins a test when it knows the next one. More than one in advance would wait behind a long one.
        while self.workqueue and self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()

    def remove_node(self, node: WorkerController) -> str | None:
        """Take a worker out, and return the test with which it has crashed, which isn't run again."""
        units = self.assigned_work[node].values()
        crashed = next((test for unit in units for test, is_over in unit.items() if not is_over), None)
        left = {name: _without(unit, crashed) for name, unit in self.assigned_work[node].items()}
        self.assigned_work[node] = {name: unit for name, unit in left.items() if not all(unit.values())}
        super().remove_node(node)
        if crashed:
            self._is_over(crashed)
        return crashed


def _without(unit: dict[str, bool], crashed: str | None) -> dict[str, bool]:
    return {test: is_over or test == crashed for test, is_over in unit.items()}
