"""How many connections a process still serves on given ports, in whichever network namespaces they are.

Envoy's sockets are spread over the namespaces of all pods, and a replaced Envoy answers no admin calls. So its
descriptors are duplicated (pidfd_getfd) and asked where they are bound; no namespace has to be entered, and one
that is deleted already does not matter. Takes the rights of a debugger over that process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_PIDFD_GETFD = 438
"""System call number, the same on every architecture."""
_TCP_CLOSE = 7
_libc = ctypes.CDLL(None, use_errno=True)


def count_connections(pid: int, ports: frozenset[int]) -> int:
    """TCP connections accepted on `ports`, half-closed ones too. Blocks: up to some 10 µs a socket.

    Raises `PermissionError`, or `ProcessLookupError` if the process has ended.
    """
    return sum(1 for connection in _sockets(pid) if _counts(connection, ports))


def _counts(candidate: socket.socket, ports: frozenset[int]) -> bool:
    with candidate:
        if candidate.family not in (socket.AF_INET, socket.AF_INET6) or candidate.type != socket.SOCK_STREAM:
            return False
        if candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        state = candidate.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state != _TCP_CLOSE and candidate.getsockname()[1] in ports


def _sockets(pid: int) -> Iterator[socket.socket]:
    descriptor = os.pidfd_open(pid)
    try:
        for number in _socket_numbers(pid):
            duplicate = _duplicate(descriptor, number)
            if duplicate >= 0:
                yield socket.socket(fileno=duplicate)
    finally:
        os.close(descriptor)


def _socket_numbers(pid: int) -> Iterator[int]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        entries = list(folder.iterdir())
    except FileNotFoundError as error:
        raise ProcessLookupError(f"process {pid} has ended") from error
    for entry in entries:
        try:
            target = os.fspath(entry.readlink())
        except FileNotFoundError:
            continue  # closed since the listing
        if target.startswith("socket:"):
            yield int(entry.name)


def _duplicate(descriptor: int, number: int) -> int:
    duplicate: int = _libc.syscall(_PIDFD_GETFD, descriptor, number, 0)
    if duplicate >= 0:
        return duplicate
    error = ctypes.get_errno()
    if error == errno.EBADF:
        return -1  # closed since the listing
    raise OSError(error, os.strerror(error))
