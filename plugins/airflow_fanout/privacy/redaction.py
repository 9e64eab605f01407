"""What is taken out of a text before people read it: secrets by their value and by their form, and personal data."""

from __future__ import annotations

import base64
import html
import json
import re
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain
from urllib.parse import quote, quote_plus

from airflow_fanout.masking import mask

HIDDEN = "…"
# A shorter secret is no secret, and would riddle every text: "on", "1", "yes".
SHORTEST_SECRET = 4
MOST_RECENT = 4

# The names under which programs keep secrets. `auth` alone is the name of a setting.
# What stands around a name is bounded, so that a text without any name costs a step for each of its characters.
_NAME = (
    r"(?:[\w.-]|%5F|%2D){0,40}(?:token|secret|passw(?:or)?d|passphrase|\bpwd|pass\b|api[_-]?key|apikey|access[_-]?key|"
    r"private[_-]?key|account[_-]?key|subscription[_-]?key|signature|\bsig\b|credentials?|authori[sz]ation|cookie|"
    r"session[_-]?id|sessionid|jwt)[\w.-]{0,40}"
)
_QUOTE = r"""(?:\\*["']|&quot;|&#3[49];|%2[27])?"""
_SEPARATOR = rf"{_QUOTE}\s*(?:=>|:=|=|:|%3D|%3A)\s*(?:[ubr](?=[\"']))?"
_SCHEME = r"(?:(?:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256)(?:\s|\+|%20)+)?"
_VALUE = (
    r"(?:\\+\"(?:(?!\\+\").){0,4000}(?:\\+\")?"  # a JSON text inside a JSON text
    r'|"(?:[^"\\]|\\.)*"?'
    r"|'(?:[^'\\]|\\.)*'?"
    r"|&quot;.{0,400}?(?:&quot;|$)|&#3[49];.{0,400}?(?:&#3[49];|$)|%2[27].{0,400}?(?:%2[27]|[&\s]|$)"
    rf"|{_SCHEME}[^\s&,;\"'<>)\]}}]+)"
)
_SCHEMES = "bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256"

_NAMED_SECRET = re.compile(rf"(?i){_NAME}")

# In this order: what a later form would cut in two, an earlier one takes whole.
FORMS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # A key file's text (RFC 7468).
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.{0,9999}?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        HIDDEN,
    ),
    # The user information of an address (RFC 3986, 3.2.1), also with an unescaped "/" or "@" in the password.
    (re.compile(r"(?<=://)[^\s\"'<>?#]{0,400}@"), f"{HIDDEN}@"),
    (re.compile(r"(?i)(?<=%3A%2F%2F)[^\s\"'<>&]{0,400}?(?:%40|@)"), f"{HIDDEN}@"),
    # Headers whose whole line is secret.
    (
        re.compile(r"(?im)^(\s*(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token|secret))(\s*:\s*).+$"),
        rf"\1\2{HIDDEN}",
    ),
    # A name and its value, as a query, a form, JSON, Python, YAML, an environment or a shell has them.
    (re.compile(rf"(?i)({_NAME})({_SEPARATOR}){_VALUE}"), rf"\1\2{HIDDEN}"),
    (re.compile(rf"(?i)(<(?:\w+:)?(?:{_NAME})(?:\s[^>]*)?>)[^<]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(--?{_NAME})(\s+){_VALUE}"), rf"\1\2{HIDDEN}"),
    # A header's credentials (RFC 9110, 11.4).
    (re.compile(rf"(?i)\b({_SCHEMES})(\s|\+|%20)+(?=[\w.~+/=-]*[\d=_.+/-])[\w.~+/=-]{{8,}}"), rf"\1 {HIDDEN}"),
    # A JSON web token (RFC 7519), and the keys of large services by their well-known beginnings.
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*"), HIDDEN),
    (
        re.compile(
            r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,}|"
            r"[srp]k_(?:live|test)_\w{10,}|AIza[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_\w{30,}|pypi-[\w-]{30,})"
        ),
        HIDDEN,
    ),
)

MAIL = re.compile(r"[\w.+-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+")
# Seven digits on are somebody's number; people write spaces, brackets and hyphens between them.
NUMBER = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()/-]{0,2}\d){6,}|\d{7,}")
# A date, and a date with a time, are nobody's number (RFC 3339).
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d)?")


class Secrets:
    """What a connection holds as secrets: taken out of a text as they are, and as they look where they were encoded.

    :param values: the secrets; what is shorter than four characters is none.
    """

    def __init__(self, values: Iterable[str]) -> None:
        secrets = [value for value in values if len(value) >= SHORTEST_SECRET]
        lines = [line for secret in secrets for line in secret.splitlines() if len(line.strip()) >= SHORTEST_SECRET]
        plain = {*secrets, *(secret.strip() for secret in secrets), *lines}
        # As they are, and in the forms in which programs write them.
        written = {text for secret in plain for text in (*_escaped(secret), *_encoded(secret.encode()))}
        # The longest first, so that no rest of one remains.
        ordered = sorted((text for text in written if len(text) >= SHORTEST_SECRET), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None

    def __repr__(self) -> str:
        return "Secrets(…)"

    def hide(self, text: str) -> str:
        """Return a text in which each of the secrets is replaced."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


class RecentSecrets(Secrets):
    """Secrets that others replace from time to time: the last few are hidden, because a text may be older.

    :param values: the first ones.
    :param always: others, which nobody replaces.
    """

    def __init__(self, values: Iterable[str], *, always: Iterable[str] = ()) -> None:
        super().__init__(())
        self._always = tuple(always)
        self._recent: deque[tuple[str, ...]] = deque(maxlen=MOST_RECENT)
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Hide those that come next, too."""
        self._recent.append(tuple(values))
        self._pattern = Secrets(chain(self._always, *self._recent))._pattern


def is_secret_name(name: str) -> bool:
    """Return whether a name is one under which programs keep secrets, such as `api_key`."""
    return _NAMED_SECRET.search(name) is not None


def without_secrets(text: str) -> str:
    """Return a text without what looks like credentials: in addresses, headers, JSON, Python, forms, and by itself."""
    for form, replacement in FORMS:
        text = form.sub(replacement, text)
    return text


def redact(text: str) -> str:
    """Return a text without secrets, mail addresses, and numbers that may be somebody's telephone or account."""

    def shown(match: re.Match[str]) -> str:
        is_date = DATE.match(match[0]) and not re.search(r"\d{7,}", match[0])
        return match[0] if is_date else mask(match[0])

    return NUMBER.sub(shown, MAIL.sub(HIDDEN, without_secrets(text)))


def _escaped(value: str) -> Iterable[str]:
    yield value
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield quote(quote(value, safe=""), safe="")
    yield html.escape(value)
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value), ascii(value)):
        yield text[1:-1]
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    yield value.encode("unicode_escape").decode()


def _encoded(value: bytes) -> Iterable[str]:
    yield value.hex()
    # Inside something longer, such as `login:password`, base64 (RFC 4648) begins at one of three places: the first and
    # the last character hold bits of the neighbours.
    for place in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * place + value).decode().rstrip("=")
            whole = (len(value) + place) % 3 == 0
            inner = text[-(-place * 8 // 6) : len(text) if whole else -1]
            if len(inner) >= 2 * SHORTEST_SECRET:
                yield inner
                yield quote(inner, safe="")
