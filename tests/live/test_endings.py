"""However a connection ends, nothing that was sent before is lost, and nothing of it stays behind."""

import sys

import pytest
from tests.live.harness import Mesh, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

HALF_CLOSE = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000))
connection.sendall(b"count\\n" + b"a" * 2_000_000)
connection.shutdown(socket.SHUT_WR)
got = b""
while data := connection.recv(65536):
    got += data
print(int(got[:20]), len(got))
"""
DROPPED = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 9000))
connection.sendall(b"drop\\n")
try:
    for _ in range(600):
        connection.sendall(b"c" * 100_000)
except OSError:
    print("ended")
"""
LAST_BYTES = """
import socket, sys
for _ in range(20):
    connection = socket.create_connection((sys.argv[1], 9000))
    connection.sendall(b"download 300000\\n")
    got = 0
    while data := connection.recv(65536):
        got += len(data)
    assert got == 300_000, got
print("whole")
"""


@pytest.mark.parametrize("host", ["server", "near"])
def test_a_client_may_end_its_side_first(mesh: Mesh, host: str) -> None:
    assert mesh.exec("client", sys.executable, "-c", HALF_CLOSE, host).split() == ["2000000", "1000020"]


@pytest.mark.parametrize("host", ["server", "near"])
def test_the_last_bytes_arrive_when_the_server_closes(mesh: Mesh, host: str) -> None:
    assert mesh.exec("client", sys.executable, "-c", LAST_BYTES, host) == "whole\n"


@pytest.mark.parametrize("host", ["server", "near"])
def test_a_server_that_closes_in_the_middle_leaves_nothing(mesh: Mesh, host: str) -> None:
    for _ in range(3):
        assert mesh.exec("client", sys.executable, "-c", DROPPED, host) == "ended\n"

    def left() -> list[str]:
        lines = mesh.exec("client", "ss", "-Htan", "sport", "=", "15001").splitlines()
        return [line for line in lines if line.split()[0] not in {"LISTEN", "TIME-WAIT"}]

    eventually(lambda: not left(), what="all sockets of the node proxy are closed")
