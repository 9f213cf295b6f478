"""The channel between the main process and a server of workers: JSON messages, each with its length before it, and file descriptors."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")


def send(channel: socket.socket, message: dict[str, Any], descriptor: int | None = None) -> None:
    """Send one message, and with it a duplicate of an open file descriptor."""
    encoded = json.dumps(message).encode()
    head = _LENGTH.pack(len(encoded))
    if descriptor is None:
        channel.sendall(head)
    else:
        socket.send_fds(channel, [head], [descriptor])
    channel.sendall(encoded)


def receive(channel: socket.socket) -> tuple[dict[str, Any], int | None]:
    """Return one message and the file descriptor that came with it.

    Errors: EOFError where the other side is gone.
    """
    try:
        head, descriptors, _, _ = socket.recv_fds(channel, _LENGTH.size, 1)
        head += _exactly(channel, _LENGTH.size - len(head)) if head else b""
        if not head:
            raise EOFError
        message: dict[str, Any] = json.loads(_exactly(channel, _LENGTH.unpack(head)[0]))
    except ConnectionError as error:
        raise EOFError from error
    return message, descriptors[0] if descriptors else None


def _exactly(channel: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = channel.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return received
