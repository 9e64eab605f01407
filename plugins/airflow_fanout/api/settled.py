"""What is known of an endpoint before its first request: what the environment says of it, and its origin."""

from __future__ import annotations

import os

import requests
from msgspec.structs import replace
from requests.utils import get_environ_proxies, get_netrc_auth

from airflow_fanout.api.address import BadAddress, Origin, origin_of
from airflow_fanout.api.auth import is_authorization
from airflow_fanout.api.endpoint import Endpoint


def settled(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with what the environment says of it: proxies, CA bundle and netrc, looked up once.

    What the connection says itself wins; the endpoint returned trusts the environment no further.
    """
    if not endpoint.trust_env:
        return endpoint
    verify = endpoint.verify
    if verify is True:
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    proxies = {**get_environ_proxies(endpoint.base_url), **endpoint.proxies}
    known = replace(endpoint, verify=verify, proxies=proxies, trust_env=False)
    if (
        endpoint.login is not None
        or endpoint.auth in ("bearer", "api_key", "signed")
        or any(map(is_authorization, endpoint.headers))
    ):
        return known
    credentials = get_netrc_auth(endpoint.base_url)
    return replace(known, login=credentials[0], password=credentials[1], auth="basic") if credentials else known


def own_origin(base_url: str) -> Origin:
    """Return the origin of the connection's address, whose host may be written in any letters."""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(base_url, None)
        return origin_of(base_url if base_url.isascii() else prepared.url or "")
    except (BadAddress, requests.RequestException) as error:
        raise BadAddress(f"the connection's address can't be used: {error}") from None
