"""`make house`: print the house in numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.house.numbers import house, page

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Count a checkout of the repository, by default this one."""
    parser = argparse.ArgumentParser(prog="python -m tests.house", description=__doc__)
    parser.add_argument("repository", nargs="?", type=Path, default=ROOT, help="another checkout (default: this one)")
    print(page(house(parser.parse_args().repository)))


if __name__ == "__main__":
    main()
