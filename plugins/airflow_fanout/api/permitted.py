"""An adapter of requests' whose every request needs a permit, whoever sends it and whatever for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    import requests


class Permits(Protocol):
    """What lets the requests of a session through."""

    @property
    def is_foreign(self) -> bool:
        """Whether the caller runs in another thread than the session's, whose locks and connections aren't its own."""

    def fetch_whole(self, send: Callable[[], requests.Response]) -> requests.Response:
        """Send a request for another thread, and read all of its answer."""

    def send(self, send: Callable[[], requests.Response]) -> requests.Response:
        """Wait until a request may be sent, send it, and note what has come of it."""


class PermittedAdapter(BaseAdapter):
    """Sends by another adapter, once there is a permit. In all else it is that adapter.

    :param renew: replaces the credentials of a request by the newest ones.

    Redirects, and what a hook sends by `response.connection`, as digest authentication does, come through here too.
    """

    def __init__(
        self, adapter: BaseAdapter, permits: Permits, renew: Callable[[requests.PreparedRequest], None]
    ) -> None:
        super().__init__()
        self.adapter = adapter
        self._permits = permits
        self._renew = renew

    def __getattr__(self, name: str) -> Any:
        return getattr(self.adapter, name)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - requests' own signature
        *args: Any,
        **how: Any,
    ) -> requests.Response:
        """Send a request and return its answer; its permit lasts until the answer is there, the body included."""

        def send() -> requests.Response:
            # Its credentials may have been replaced while it waited.
            self._renew(request)
            response = self.adapter.send(request, stream, *args, **how)
            response.connection = self  # type: ignore[assignment] # what it uses of it is there
            # A stream is read by who has asked for it, and a hook may read the body itself. What stands in a redirect
            # nobody reads, and it may be broken.
            if not (stream or request.hooks["response"] or response.is_redirect):
                response.content  # noqa: B018 - reading it is what is wanted
            return response

        return self._permits.send(send)

    def close(self) -> None:
        """Close the other adapter."""
        self.adapter.close()
