"""The package's own errors, in whichever room they are."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from airflow_fanout.errors import FanoutError

PACKAGE = Path(__file__).resolve().parents[1] / "plugins" / "airflow_fanout"


def error_kinds() -> list[type[FanoutError]]:
    """Return all kinds of errors: those of the package, then those of each room."""
    modules = [import_module(_name(path)) for path in sorted(PACKAGE.rglob("*errors.py"))]
    return [kind for module in modules for kind in vars(module).values() if _is_own(kind, module.__name__)]


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def _is_own(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, FanoutError) and value.__module__ == module
