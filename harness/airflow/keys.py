"""The keys and passwords of one Airflow home: made once, kept in one file that only its owner can read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Two of SimpleAuthManager's fixed roles: one user for each, named like it.
ROLES = ("admin", "viewer")
KEYS = "keys.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class HomeKeys:
    """What the processes of one home share, and what a person types to log in."""

    jwt_secret: str = field(repr=False)
    fernet_key: str = field(repr=False)
    api_secret_key: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False)


def load_keys(directory: Path) -> HomeKeys:
    """Read the keys of this home, making them first where there are none."""
    path = directory / KEYS
    if not path.exists():
        write_private(path, json.dumps(asdict(_fresh())))
    return HomeKeys(**json.loads(path.read_text()))


def copy_keys(source: Path, target: Path) -> None:
    """Give another home the keys of this one: the processes of both belong to one Airflow."""
    write_private(target / KEYS, json.dumps(asdict(load_keys(source))))


def write_private(path: Path, text: str) -> None:
    """Put the text in place as one step; the file is never readable by anybody else."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def _fresh() -> HomeKeys:
    return HomeKeys(
        # HS512, Airflow's choice for a shared secret, wants 64 bytes.
        jwt_secret=secrets.token_hex(32),
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        api_secret_key=secrets.token_hex(16),
        passwords={role: secrets.token_urlsafe(12) for role in ROLES},
    )
