"""`make mutants`: try changes of each module that decides, and say which ones no test notices."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.modules import MODULES, Module
from tests.mutants.page import Entry, with_entry
from tests.mutants.running import Runner, Tried, running
from tests.mutants.sampling import equivalents, sample

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
EQUIVALENTS = HERE / "equivalents.toml"
# So many of a module's changes have to be noticed, those that change nothing not counted.
ENOUGH = 0.9


@dataclass(frozen=True)
class Result:
    """What the tests of a module have noticed."""

    module: Module
    tried: Sequence[Tried]
    equivalent: int
    seconds: float

    @property
    def survivors(self) -> list[Tried]:
        """The changes that no test has noticed."""
        return [one for one in self.tried if not one.killed]

    @property
    def share(self) -> float:
        """The share that was noticed, from 0 to 1."""
        return 1 - len(self.survivors) / len(self.tried) if self.tried else 1.0

    def row(self) -> str:
        """Return the module's row of the table."""
        killed = len(self.tried) - len(self.survivors)
        return (
            f"| `{self.module.name}` | {len(self.tried) + self.equivalent} | {self.equivalent} | {killed} "
            f"| {len(self.survivors)} | {100 * self.share:.1f} % | {self.seconds:.0f} |"
        )


def main() -> int:
    """Try the changes; return 1 if a module's tests notice too few."""
    arguments = _arguments()
    modules = [module for module in MODULES if not arguments.modules or module.name in arguments.modules]
    with running(arguments.jobs) as runner:
        results = []
        for module in modules:
            results.append(_result(runner, module, arguments))
            RESULTS.write_text(_page(results[-1], arguments))
    short = [result.module.name for result in results if result.share < ENOUGH]
    print(f"Fewer than {100 * ENOUGH:g} % noticed: {', '.join(short)}" if short else "Enough noticed in each module.")
    return 1 if short else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these, such as throttle or staging.journal")
    parser.add_argument("--sample", type=int, default=100, help="how many changes of each module (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="decides which ones (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    return parser.parse_args()


def _result(runner: Runner, module: Module, arguments: argparse.Namespace) -> Result:
    begun = time.monotonic()
    known = equivalents(EQUIVALENTS, module.name)
    sampled = sample(module.path, most=arguments.sample + len(known), seed=arguments.seed)
    mutants = [mutant for mutant in sampled if (mutant.before, mutant.after) not in known]
    tried = list(runner.tried(module, mutants))
    result = Result(module, tried, len(sampled) - len(mutants), time.monotonic() - begun)
    print(result.row(), flush=True)
    for survivor in result.survivors:
        print(f"    {survivor.mutant.operator}, {survivor.mutant}", flush=True)
    return result


def _page(result: Result, arguments: argparse.Namespace) -> str:
    survivors = [str(one.mutant) for one in result.survivors]
    entry = Entry(row=f"{result.row()} {arguments.seed} |", survivors=survivors)
    return with_entry(RESULTS.read_text() if RESULTS.exists() else "", result.module.name, entry)


if __name__ == "__main__":
    sys.exit(main())
