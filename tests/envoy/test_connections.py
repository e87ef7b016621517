from __future__ import annotations

import os
import socket
import subprocess

import pytest

from sidestep.envoy.connections import count_connections


def test_accepted_connections_count_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        port = server.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        ports = frozenset({port})
        assert count_connections(os.getpid(), ports) == 0
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            assert count_connections(os.getpid(), ports) == 1
            assert count_connections(os.getpid(), frozenset({client.getsockname()[1]})) == 1
            # half-closed, in either direction, is open still
            client.shutdown(socket.SHUT_WR)
            assert accepted.recv(1) == b""
            assert count_connections(os.getpid(), ports) == 1
            client.close()
            accepted.close()
            assert count_connections(os.getpid(), ports) == 0


def test_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("::1", port)):
            accepted, _ = server.accept()
            with accepted:
                assert count_connections(os.getpid(), frozenset({port})) == 1


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    with pytest.raises(ProcessLookupError):
        count_connections(process.pid, frozenset({1}))
