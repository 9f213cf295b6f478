"""No connections: a test that downloads something would pass today and fail tomorrow."""

from __future__ import annotations

import socket
from typing import Any

REASON = "the test wants to download something, and the suite runs without a network"


def install() -> None:
    """Refuse every connection of this process to another machine."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(REASON)
        connect(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = _no_address  # type: ignore[assignment]


def _no_address(*_arguments: Any, **_named: Any) -> Any:
    raise OSError(REASON)
