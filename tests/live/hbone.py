"""A client of HBONE that says exactly what it is told to: one TLS connection, one HTTP/2 request, frame by frame."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sidestep.identity.certificate import WorkloadCertificate
from sidestep.node.namespaces import run_in_namespace

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GO_AWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
# RFC 7541: status codes with an entry of their own, and the digits of the others in Huffman code.
_INDEXED = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
_DIGITS = {"00000": "0", "00001": "1", "00010": "2"} | {f"{25 + each:06b}": str(3 + each) for each in range(7)}

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a request. `status` is 0 when the connection or the stream ended without one."""

    status: int = 0
    body: bytes = b""
    error: str = ""


def in_memory(content: str) -> str:
    """A path that reads as `content`, which is on no disk; it lives as long as this process."""
    descriptor = os.memfd_create("certificate")
    os.write(descriptor, content.encode())
    return f"/proc/self/fd/{descriptor}"


def tls(certificate: WorkloadCertificate | None, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """The client's side; whom it talks to is not checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(in_memory(certificate.chain_pem + certificate.private_key_pem))
    return context


def request(
    namespace: str,
    target: tuple[str, int],
    context: ssl.SSLContext,
    headers: Mapping[str, str],
    payload: bytes = b"",
) -> Answer:
    """Sends a request with these headers, then `payload`, from the network namespace of that name."""

    def run() -> Answer:
        try:
            with socket.create_connection(target, timeout=5) as raw, context.wrap_socket(raw) as connection:
                return _exchange(connection, headers, payload)
        except (OSError, EOFError) as error:
            return Answer(error=str(error) or type(error).__name__)

    return inside(namespace, run)


def connect(authority: str, **more: str) -> dict[str, str]:
    """The headers of a CONNECT request."""
    return {":method": "CONNECT", ":authority": authority, **more}


def inside(namespace: str, function: Callable[[], Result]) -> Result:
    """`function()` in a network namespace, which leaves this process's other threads where they are."""
    return run_in_namespace(str(Path("/run/netns") / namespace), function)


def _exchange(connection: ssl.SSLSocket, headers: Mapping[str, str], payload: bytes) -> Answer:
    connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
    connection.sendall(_frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(*each) for each in headers.items())))
    status, body = 0, b""
    while True:
        try:
            kind, flags, stream, content = _next(connection)
        except (OSError, EOFError) as error:
            return Answer(status=status, body=body, error=str(error) or type(error).__name__)
        if stream != 1:
            if kind == _GO_AWAY:
                return Answer(status=status, body=body, error="GOAWAY")
            continue
        if kind == _HEADERS:
            status = _status(content)
            if status == 200:
                connection.sendall(_frame(_DATA, _END_STREAM, 1, payload))
        elif kind == _DATA:
            body += content
        if kind == _RESET or (flags & _END_STREAM and kind in {_HEADERS, _DATA}):
            return Answer(status=status, body=body, error="reset" if kind == _RESET else "")


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _next(connection: ssl.SSLSocket) -> tuple[int, int, int, bytes]:
    header = _exactly(connection, 9)
    kind, flags, stream = struct.unpack(">BBI", header[3:])
    return kind, flags, stream, _exactly(connection, int.from_bytes(header[:3]))


def _exactly(connection: ssl.SSLSocket, number: int) -> bytes:
    data = b""
    while len(data) < number:
        more = connection.recv(number - len(data))
        if not more:
            raise EOFError("the connection ended")
        data += more
    return data


def _literal(name: str, value: str) -> bytes:
    """A header, never indexed, not compressed; shorter than 127 bytes each."""
    return b"\x10" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def _status(block: bytes) -> int:
    while block and block[0] & 0xE0 == 0x20:  # a new size of the dynamic table
        block = block[1:]
    if block[0] & 0x80:
        return _INDEXED[block[0] & 0x7F]
    length, text = block[1] & 0x7F, block[2:]
    if not block[1] & 0x80:
        return int(text[:length])
    bits, digits = "".join(f"{each:08b}" for each in text[:length]), ""
    while len(digits) < 3:
        size = 5 if bits[:5] in _DIGITS else 6
        digits, bits = digits + _DIGITS[bits[:size]], bits[size:]
    return int(digits)
