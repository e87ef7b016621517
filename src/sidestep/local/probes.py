"""Probes of a container, made from inside the pod's network namespace.

A probe's socket carries the mark of the data plane's own sockets, so that capture leaves it alone: the kubelet's
probes are exempt from the mesh as well, and a probe of a STRICT workload must not need a certificate.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

from sidestep.api.kubernetes.container import Container, HttpGet, Probe
from sidestep.api.kubernetes.pod import PodSpec
from sidestep.local import namespaces
from sidestep.local.children import Child
from sidestep.local.errors import LocalError
from sidestep.local.pod_spec import port_of

DATA_PLANE_MARK = 0x539
_LONGEST_STATUS_LINE = 4096

RunCommand = Callable[[Sequence[str]], Awaitable[Child]]


class ProbeError(LocalError):
    """The application did not answer as it should; the text says how."""


class Prober:
    """Probes one container of one pod."""

    def __init__(
        self, *, namespace: str, address: str, spec: PodSpec, container: Container, run_command: RunCommand
    ) -> None:
        self._namespace = namespace
        self._address = address
        self._spec = spec
        self._container = container
        self._run_command = run_command

    async def probe(self, probe: Probe) -> None:
        """Return if the probe succeeds, raise ProbeError otherwise."""
        try:
            async with asyncio.timeout(probe.timeout_seconds):
                await self._probe(probe)
        except TimeoutError as error:
            raise ProbeError(f"no answer within {probe.timeout_seconds:g} s") from error
        except (OSError, EOFError, ValueError) as error:
            raise ProbeError(str(error)) from error

    async def _probe(self, probe: Probe) -> None:
        if probe.http_get is not None:
            await self._http(probe.http_get)
        elif probe.tcp_socket is not None:
            (await self._connect(port_of(self._spec, self._container, probe.tcp_socket.port))).close()
        elif probe.exec is not None:
            await self._exec(probe.exec.command)
        else:
            raise ProbeError("the local runtime has no probes over gRPC; use httpGet, tcpSocket or exec")

    async def _http(self, request: HttpGet) -> None:
        port = port_of(self._spec, self._container, request.port)
        connection = await self._connect(port)
        context = _unverified() if request.scheme == "HTTPS" else None
        try:
            reader, writer = await asyncio.open_connection(
                sock=connection, ssl=context, server_hostname="" if context else None, limit=_LONGEST_STATUS_LINE
            )
        except BaseException:
            connection.close()
            raise
        try:
            writer.write(_request(request, self._address, port))
            await writer.drain()
            line = (await reader.readuntil(b"\n")).decode("latin-1").split()
        finally:
            writer.close()
        status = int(line[1])
        if not 200 <= status < 400:
            raise ProbeError(f"GET {request.path} on port {port} gave status {status}")

    async def _connect(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET

        def make() -> socket.socket:
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, DATA_PLANE_MARK)
            made.setblocking(False)
            return made

        connection = await asyncio.to_thread(namespaces.run_in, self._namespace, make)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self._address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _exec(self, command: Sequence[str]) -> None:
        child = await self._run_command(command)
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            await asyncio.shield(child.stop(0))
            raise
        if code != 0:
            raise ProbeError(f"{command[0]} exited with {code}")


def _request(request: HttpGet, address: str, port: int) -> bytes:
    host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    headers = {"Host": host, "User-Agent": "sidestep-probe", "Connection": "close"}
    headers |= {header.name: header.value for header in request.http_headers}
    lines = [f"GET {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def _unverified() -> ssl.SSLContext:
    """As the kubelet: a probe asks whether somebody answers, not who."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
