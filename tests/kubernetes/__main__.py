"""`make check`: the files in deploy/kubernetes are what Kubernetes and the chart take."""

from __future__ import annotations

import sys

from tests.kubernetes.checking import FOLDER, problems

if __name__ == "__main__":
    problems_by_file = [
        f"{file.name}: {problem}" for file in sorted(FOLDER.glob("*.yaml")) for problem in problems(file)
    ]
    sys.exit("\n".join(problems_by_file) or 0)
