"""DNS over TCP: each message comes after its length in two bytes (RFC 1035, section 4.2.2)."""

from __future__ import annotations

import asyncio
import socket


async def receive_message(stream: socket.socket) -> bytes | None:
    """The next message; None at the end of the stream, even in the middle of a message."""
    header = await _receive_exactly(stream, 2)
    return None if header is None else await _receive_exactly(stream, int.from_bytes(header, "big"))


async def send_message(stream: socket.socket, message: bytes) -> None:
    """Sends one message of at most 65535 bytes."""
    await asyncio.get_running_loop().sock_sendall(stream, len(message).to_bytes(2, "big") + message)


async def _receive_exactly(stream: socket.socket, length: int) -> bytes | None:
    loop = asyncio.get_running_loop()
    received = bytearray()
    while len(received) < length:
        part = await loop.sock_recv(stream, length - len(received))
        if not part:
            return None
        received += part
    return bytes(received)
