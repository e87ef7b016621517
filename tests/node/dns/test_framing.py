from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestep.node.dns.framing import receive_message, send_message


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_messages_keep_their_borders(messages: list[bytes]) -> None:
    async def run() -> list[bytes | None]:
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            right.setblocking(False)
            for message in messages:
                await send_message(left, message)
            left.close()
            return [await receive_message(right) for _ in range(len(messages) + 1)]

    assert asyncio.run(run()) == [*messages, None]


async def test_the_largest_message(pair: tuple[socket.socket, socket.socket]) -> None:
    largest = bytes(65535)
    _, received = await asyncio.gather(send_message(pair[0], largest), receive_message(pair[1]))
    assert received == largest


@pytest.mark.parametrize("sent", [b"", b"\0", b"\0\5", b"\0\5abc"])
async def test_an_end_in_the_middle(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].shutdown(socket.SHUT_WR)
    assert await receive_message(pair[1]) is None
