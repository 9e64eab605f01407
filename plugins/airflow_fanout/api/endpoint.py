"""Where requests go: an Airflow connection of type HTTP as a plain value, without Airflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from msgspec.structs import replace

from airflow_fanout.api.oauth2 import OAuth2

# RFC 3986, 3.1: a scheme. A path may have "://" further on: "/archive/http://…".
_WHOLE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

_HARMLESS = frozenset(
    {"accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-type", "user-agent"}
)

# Fields that may hold secrets: a log shows none of them.
_HIDDEN = frozenset({"password", "headers", "query", "proxies"})

# The fields that say who is asking.
_CREDENTIALS = ("login", "password", "auth", "headers", "query", "oauth2")

Auth = Literal["basic", "bearer", "digest", "oauth2", "api_key", "signed"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An HTTP API's address with everything that a request to it needs.

    :param base_url: scheme, host, port and perhaps a path, without a slash at the end.
    :param login: the user name, or `None` for no authentication (or for a bearer token).
    :param password: the password or the token.
    :param auth: how they are sent. `oauth2`: a token has to be got first, after which it is `bearer`; `api_key`: the
        key is among the headers or in the query. `signed`: they are for an author's function that signs requests.
    :param oauth2: how tokens are got.
    :param query: names and values in the query of every request to this origin; never sent to another one.
    :param headers: headers of every request to this origin; never sent to another one.
    :param verify: whether the server's certificate is checked, or the file of a CA to check it with.
    :param cert: a client certificate's file, or its file and its key's file.
    :param proxies: proxy addresses by scheme.
    :param trust_env: whether proxies, CA bundle and netrc of the environment count.
    :param allow_redirects: whether redirects are followed.
    :param max_redirects: the most redirects to follow for one request.
    """

    base_url: str
    login: str | None = None
    password: str | None = None
    auth: Auth = "basic"
    oauth2: OAuth2 | None = None
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    proxies: Mapping[str, str] = {}
    trust_env: bool = True
    allow_redirects: bool = True
    max_redirects: int = 30

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _HIDDEN)
        return f"Endpoint({', '.join(shown)})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it may stand in no message: passwords and tokens, headers but the harmless, keys in the query."""
        headers = [text for name, text in self.headers.items() if name.lower() not in _HARMLESS]
        # A header's token is a secret without its scheme, too.
        tokens = [word for text in headers for word in text.split()[1:]]
        proxies = [urlsplit(address).password for address in self.proxies.values()]
        of_oauth2 = self.oauth2.secrets if self.oauth2 else ()
        texts = (self.password, *of_oauth2, *self.query.values(), *headers, *tokens, *proxies)
        return tuple(text for text in texts if text)

    def url(self, target: str) -> str:
        """Return the whole address of a path below the base address; a whole address stays as it is."""
        if _WHOLE.match(target):
            return target
        return f"{self.base_url}/{target.removeprefix('/')}"

    def with_query(self, address: str, params: object = None) -> str:
        """Return a whole address with the values that this endpoint adds to the query; what is there already stays.

        :param params: what the request itself will add to the query.
        """
        if not self.query:
            return address
        before, mark, fragment = address.partition("#")
        said = {name for name, _ in parse_qsl(urlsplit(before).query, keep_blank_values=True)}
        said |= set(params) if isinstance(params, Mapping) else set()
        added = urlencode({name: text for name, text in self.query.items() if name not in said})
        joint = "&" if "?" in before else "?"
        return f"{before}{joint}{added}{mark}{fragment}" if added else address

    def with_credentials_of(self, other: Endpoint) -> Endpoint:
        """Return this endpoint with the credentials of another one; its address and all else stay."""
        credentials = {name: getattr(other, name) for name in _CREDENTIALS}
        return replace(self, **credentials)
