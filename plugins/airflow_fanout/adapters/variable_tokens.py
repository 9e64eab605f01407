"""A refresh token that changes at each use, kept in an Airflow Variable, and used by one task at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk import Variable
from airflow.sdk.log import mask_secret

from airflow_fanout.adapters.border import staging_mode, staging_store
from airflow_fanout.adapters.errors import RefreshTokenBusy, RefreshTokenHidden
from airflow_fanout.staging.layout import lock

# Another task asks for a token meanwhile, which takes it less than a minute.
LONGEST_WAIT_S = 180.0


class VariableTokens:
    """The refresh token in a Variable.

    :param name: the Variable's.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all other tasks from using the refresh token meanwhile.

        Airflow's Variables can't be changed on the condition that they are as they were read. So it is a lock in the
        staging area, which all workers see.

        :raises RefreshTokenBusy: if other tasks have it for too long.
        """
        try:
            with staging_store(staging_mode()).locked(lock(self._name), LONGEST_WAIT_S):
                yield
        except TimeoutError:
            raise RefreshTokenBusy(self._name, LONGEST_WAIT_S) from None

    def read(self) -> str | None:
        """Return the refresh token; `None` if none was kept yet."""
        text = Variable.get(self._name, default=None)
        return str(text).strip() or None if text is not None else None

    def write(self, token: str) -> None:
        """Keep the next refresh token.

        :raises RefreshTokenHidden: if another one is read afterwards.
        """
        mask_secret(token)
        Variable.set(self._name, token)
        if self.read() != token:
            raise RefreshTokenHidden(self._name)
