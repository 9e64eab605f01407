"""What the service's command line sets: one table of settings, read in both directions."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, TypeAlias

from harness.service.faults import DEFAULTS as FAULT_DEFAULTS
from harness.service.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Setting: TypeAlias = bool | float | str | Iterable[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings that hold for the service's life, and the faults that it starts with."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 7
    subscribers: int = 2000
    token: str | None = None
    customers: int = 100
    export_s: float = 0.2
    client_id: str | None = None
    client_secret: str | None = None
    username: str | None = None
    password: str | None = None
    refresh_token: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    faults: Faults = field(default_factory=Faults)


class UnknownSetting(TypeError):
    """Names that the service has no setting for."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.names = names

    def __str__(self) -> str:
        return f"The service has no setting {', '.join(self.names)}: it has {', '.join(DEFAULTS)}."


SERVICE_DEFAULTS: dict[str, object] = {
    setting.name: setting.default for setting in fields(Options) if setting.name != "faults"
}
DEFAULTS = SERVICE_DEFAULTS | FAULT_DEFAULTS


def parse(arguments: Sequence[str]) -> Options:
    """Return the options that a command line asks for, or end the program with a sentence."""
    parser = argparse.ArgumentParser(prog="python -m harness.service", description="A telephone company's API.")
    for name, default in DEFAULTS.items():
        reader, metavar = READERS.get(type(default), TEXT)
        parser.add_argument(_flag(name), default=default, type=reader, metavar=metavar)
    given = vars(parser.parse_args(arguments))
    try:
        faults = Faults(**{name: given[name] for name in FAULT_DEFAULTS})
    except ValueError as error:
        parser.error(str(error))
    return Options(**{name: given[name] for name in SERVICE_DEFAULTS}, faults=faults)


def command_line(settings: Mapping[str, Setting]) -> list[str]:
    """Return the arguments that ask for settings; raise UnknownSetting for a name that is none."""
    if unknown := settings.keys() - DEFAULTS.keys():
        raise UnknownSetting(*sorted(unknown))
    return [f"{_flag(name)}={_text(value)}" for name, value in settings.items() if value is not None]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _text(value: Setting) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(value) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _numbers(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()


def _switch(text: str) -> bool:
    if text not in {"0", "1"}:
        raise argparse.ArgumentTypeError(f"takes 0 or 1, not {text!r}")
    return text == "1"


READERS: dict[type, tuple[Callable[[str], object], str]] = {
    bool: (_switch, "0|1"),
    int: (int, "INT"),
    float: (float, "FLOAT"),
    frozenset: (_numbers, "TEL,…"),
}
TEXT = (str, "STR")
