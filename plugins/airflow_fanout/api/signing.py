"""Signatures: headers that an author's function makes for each request, of what the request says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.functions import describe, inner, is_async
from airflow_fanout.privacy.redaction import Secrets

# What the function may take, by name.
ARGUMENTS = ("method", "url", "headers", "body", "login", "password")
EXAMPLE = f"a function of any of {', '.join(ARGUMENTS)} that returns headers"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NotSigned(ValueError):
    """A request without the signature that it needs; it isn't sent."""


class Signing:
    """Signs requests with the credentials of a connection.

    :param function: the author's; it gets those of `ARGUMENTS` that it names.
    :param endpoint: the connection.
    """

    def __init__(self, function: Callable[..., Mapping[str, str]], endpoint: Endpoint) -> None:
        self._function = function
        arguments = inspect.signature(function).parameters.values()
        takes_all = any(argument.kind is argument.VAR_KEYWORD for argument in arguments)
        self._names = set(ARGUMENTS) if takes_all else {argument.name for argument in arguments} & {*ARGUMENTS}
        self.use(endpoint, 0)

    def use(self, endpoint: Endpoint, renewal: int) -> None:  # noqa: ARG002 - as all who use credentials
        """Sign with the credentials of another renewal from now on."""
        self._endpoint = endpoint
        self._secrets = Secrets(endpoint.secrets)

    def headers(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        """Return the headers that sign a request.

        :param url: the whole address, with its query as it is sent.
        :param headers: what else is sent, without the credentials that libcurl or requests add.
        :param body: the body's bytes; `None` if there is none.
        :raises NotSigned: if the function raises, or returns what can't be sent.
        """
        login, password = self._endpoint.login, self._endpoint.password
        values = {"method": method, "url": url, "headers": dict(headers), "body": body, "login": login}
        values["password"] = password
        try:
            signed = self._function(**{name: value for name, value in values.items() if name in self._names})
        except Exception as error:  # noqa: BLE001 - an author's function may raise anything
            text = self._secrets.hide(f"{type(error).__name__}: {error}")
            raise NotSigned(f"sign: {describe(self._function)} raised {text}") from None
        if not isinstance(signed, Mapping) or not all(map(_can_be_sent, signed.items())):
            raise NotSigned(
                f"sign: {describe(self._function)} must return a dict of headers, texts without line breaks"
            )
        return dict(signed)


def check_sign(function: object) -> None:
    """Raise `BadSetting` unless this is a function that can sign requests; for an author's argument `sign`."""
    if function is None:
        return
    if not callable(function) or is_async(inner(function)):
        raise BadSetting("sign", function, EXAMPLE)
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise BadSetting("sign", describe(function), f"{EXAMPLE}, written in Python") from None
    required = [
        argument.name
        for argument in arguments
        if argument.default is argument.empty and argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
    ]
    if unknown := [name for name in required if name not in ARGUMENTS]:
        raise BadSetting("sign", describe(function), f"{EXAMPLE}, and not of {unknown[0]!r}")


def _can_be_sent(pair: tuple[Any, Any]) -> bool:
    return all(isinstance(text, str) and not _CONTROL.search(text) for text in pair) and bool(pair[0])
