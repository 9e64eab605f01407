from __future__ import annotations

import base64
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.privacy.redaction import Secrets, redact, without_secrets

SECRET = "s3cr3tV4lue"
TEL = "+12025550143"

FORMS = {
    "query": f"https://api.example.org/x?day=1&access_token={SECRET}&b=2",
    "query that is encoded": f"next=https%3A%2F%2Fx%2F%3Faccess_token%3D{SECRET}%26b%3D2",
    "scheme behind a name": f"token=Bearer {SECRET}",
    "scheme in a query": f"authorization=Bearer+{SECRET}",
    "bearer": f"sent with Bearer {SECRET}",
    "basic": f"Authorization: Basic {base64.b64encode(b'bot:' + SECRET.encode()).decode()}",
    "token of another scheme": f"Authorization: Custom {SECRET} more",
    "cookie": f"Cookie: a=1; session={SECRET}",
    "cookie that is set": f"Set-Cookie: id={SECRET}; Path=/",
    "header of a key": f"X-Api-Key: {SECRET}",
    "header in a dict": f"{{'Authorization': 'Bearer {SECRET}', 'Accept': '*/*'}}",
    "header as bytes": f"[(b'authorization', b'Bearer {SECRET}')]",
    "python": f"{{'id': 7, 'access_token': '{SECRET}'}}",
    "python with a quote": f"""{{'password': "it's {SECRET}"}}""",
    "json": json.dumps({"user": "bot", "password": f"two words {SECRET}"}),
    "json with escapes": json.dumps({"password": f'a"b\\{SECRET}'}),
    "json in json": json.dumps({"body": json.dumps({"client_secret": SECRET})}),
    "form": urlencode({"grant_type": "password", "password": f"a b&{SECRET}"}),
    "yaml": f"db:\n  password: {SECRET}\n",
    "environment": f"DB_PASSWORD={SECRET}",
    "keyword": f"connect(host='h', password='{SECRET}', port=1)",
    "shell": f"curl --password {SECRET} --token={SECRET}",
    "xml": f"<wsse:Password Type='text'>{SECRET}</wsse:Password>",
    "html": f"&quot;apikey&quot;: &quot;{SECRET}&quot;",
    "address": f"mongodb://bot:{SECRET}@db.example.org/x",
    "address with an @ and a slash": f"mongodb+srv://bot:p@/{SECRET}@db.example.org/x",
    "address that is encoded": f"url=https%3A%2F%2Fbot%3A{SECRET}%40api.example.org%2Fx",
    "azure": f"AccountName=x;AccountKey={SECRET}==;EndpointSuffix=y",
    "shared access": f"https://x.blob.example.org/c?sv=2022&sig={SECRET}%3D&se=2026",
    "signed": f"https://s3.example.org/k?X-Amz-Credential={SECRET}%2F2026&X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}",
    "web token": f"got eyJhbGciOiJIUzI1NiJ9.{SECRET}.c2ln from it",
    "key file": f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    "key file that is cut": f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    "arrow": f":password => '{SECRET}'",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=list(FORMS))
def test_a_secret_is_known_by_its_form(text: str) -> None:
    """However a program writes a name and its secret, the secret is gone from the text."""
    assert SECRET not in without_secrets(text)
    assert base64.b64encode(b"bot:" + SECRET.encode()).decode() not in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "401 Unauthorized: the credential of connection 'call_api' is refused",
        'Write {"auth": "bearer"} into its extra, or a login.',
        "After 1,000,000 parameters, code 11000, as of 2026-11-22T00:00:00+00:00",
        "429 at 2026-11-22 17:05:03; 127.0.0.1:27017 doesn't answer; 50 of 1,500; tasks.py:117",
        "http://127.0.0.1:8080/calls?day=2026-11-22",
        "basic authentication, the token is wrong, a bearer token",
    ],
)
def test_what_helps_stays(text: str) -> None:
    """Addresses, counts, dates, codes and advice are no secrets and nobody's numbers."""
    assert redact(text) == text


def test_the_rest_of_the_text_stays() -> None:
    """Only the value goes: what it was called, and what stands around it, helps to find it."""
    assert without_secrets("/x?api_key=abc&day=1") == "/x?api_key=…&day=1"
    assert (
        without_secrets("GET https://bot:hunter2@api.example.org/x failed") == "GET https://…@api.example.org/x failed"
    )
    assert without_secrets("{'access_token': 'a b', 'id': 7}") == "{'access_token': …, 'id': 7}"
    assert without_secrets('{"password": "a b", "id": 7}') == '{"password": …, "id": 7}'


@pytest.mark.parametrize(
    "number",
    [TEL, "12025550143", "+1 202 555 0143", "(202) 555-0143", "202-555-0143", "+1 (202) 555 0143", "4711 0815 1234"],
)
def test_a_number_is_known_however_it_is_grouped(number: str) -> None:
    """People write spaces, brackets and hyphens into a telephone number."""
    assert number not in redact(f"no calls from {number} today")
    assert "0143" not in redact(f"no calls from {number} today")


def test_mail_addresses_are_personal() -> None:
    """As they are, and as a query has them."""
    assert redact("jane.doe@example.org and jane.doe%40example.org") == "… and …"


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=8, max_size=40).filter(
    lambda text: text == text.strip()
)


@given(TEXTS, st.text(max_size=3), st.text(max_size=3))
def test_a_known_secret_leaves_in_no_encoding(secret: str, before: str, after: str) -> None:
    """As it is, in an address, in JSON, in Python's and in base64's form, also as a part of something longer."""
    secrets = Secrets([secret])
    whole = f"{before}{secret}{after}"
    for text in (whole, json.dumps(whole), repr(whole), quote(secret), quote(secret, safe=""), secret.encode().hex()):
        assert secret not in secrets.hide(text)
        assert json.dumps(secret)[1:-1] not in secrets.hide(text)
    encoded = base64.b64encode(whole.encode()).decode()
    assert _decodable(secrets.hide(encoded), secret) is False


def _decodable(text: str, secret: str) -> bool:
    try:
        return secret.encode() in base64.b64decode(text + "==", validate=False)
    except ValueError:
        return False


def test_a_short_secret_does_not_riddle_the_text() -> None:
    """What is shorter than four characters can't be told from anything else."""
    assert Secrets(["on", ""]).hide("it is on") == "it is on"


def test_a_secrets_lines_are_secrets() -> None:
    """A key of several lines leaves in pieces, too."""
    assert Secrets(["first line\nsecond line\n"]).hide("a second line of it") == "a … of it"


def test_secrets_do_not_show_themselves() -> None:
    """In a traceback's or a debugger's view."""
    assert repr(Secrets([SECRET])) == "Secrets(…)"
