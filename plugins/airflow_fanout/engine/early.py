"""What was loaded into the engine's interpreter before gevent patched it: it keeps what isn't patched."""

from __future__ import annotations

import sys
from types import ModuleType

# What these classes are taken from, and those modules whose own copies are no harm.
_OWN = frozenset({"ssl", "_ssl", "socket", "_socket"})


def loaded_too_early(modules: dict[str, ModuleType]) -> list[str]:
    """Return which of the modules that were there before the patch hold TLS as it was before it.

    Each request over https would end in a RecursionError: `ssl.SSLContext` refers to itself by its name, under which
    gevent's class stands meanwhile.

    :param modules: what was loaded before the patch, by name.
    """
    ssl = modules.get("ssl")
    if ssl is None:
        return []
    from gevent.monkey import get_original

    original = get_original("ssl", "SSLContext")
    return sorted(name for name, module in modules.items() if name not in _OWN and original in vars(module).values())


def complaint(too_early: list[str]) -> str:
    """Return what to say of modules that were loaded too early."""
    shown = ", ".join(too_early[:5])
    # The files that Python runs before any program, as monitoring agents have them.
    modules = (sys.modules.get(name) for name in ("sitecustomize", "usercustomize"))
    by = [str(module.__file__) for module in modules if module is not None and module.__file__]
    culprit = f"Loaded by {' and '.join(by)}" if by else "Loaded by a .pth file among Python's packages"
    return (
        f"The engine can't make requests over TLS: {shown} had been loaded before gevent could patch it. {culprit}, "
        "as monitoring agents do. Switch the agent off for this worker, or let it load these later."
    )
