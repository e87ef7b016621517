"""What the node proxies' access logs say about who talked to whom. Pure, apart from reading the files."""

from __future__ import annotations

import datetime as dt
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from sidestep.local.errors import BadDataError

Route = Literal["hbone", "same-node", "plain"]
_FAILURES = frozenset({"UF", "UH", "UO", "NR", "NC", "URX", "UAEX"})
"""Envoy's flags for a connection that did not come about; others only say which side ended it."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an access log. A field that the proxy does not know is empty."""

    direction: Literal["inbound", "outbound"]
    path: Route
    source: str = msgspec.field(default="", name="src.workload")
    source_namespace: str = msgspec.field(default="", name="src.namespace")
    source_identity: str = msgspec.field(default="", name="src.identity")
    destination: str = msgspec.field(default="", name="dst.workload")
    destination_namespace: str = msgspec.field(default="", name="dst.namespace")
    destination_identity: str = msgspec.field(default="", name="dst.identity")
    tls_version: str = ""
    traceparent: str = ""
    start_time: str = ""
    """ISO 8601 in UTC with milliseconds: such times can be compared as they are written."""
    duration_ms: float = 0
    response_flags: str = ""
    error: str = ""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of the shop."""

    pod: str
    label: str
    """`reviews v2`, or only `front` for what has one version."""
    application: str
    node: str
    address: str
    enrolled: bool


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two workloads that talk, on one kind of path."""

    source: str
    destination: str
    path: Route
    source_node: str
    destination_node: str
    source_identities: frozenset[str]
    """Who the source was, by its own node."""
    verified_source: frozenset[str]
    """Who the source proved to be: the certificate that the destination's node was shown."""
    destination_identities: frozenset[str]
    """Who the destination proved to be: the certificate that the source's node was shown."""
    tls_versions: frozenset[str]
    connections: int
    failed: int
    median_ms: float
    """From the first byte to the last: what the destination did meanwhile is part of it."""


class AccessLogs:
    """The access logs of all nodes, read on from where the last look ended."""

    def __init__(self, nodes: Path) -> None:
        self._nodes = nodes
        self._offsets: dict[Path, int] = {}

    def new(self) -> list[Connection]:
        """Connections that ended since the last call."""
        return [connection for path in sorted(self._nodes.glob("*/access.log")) for connection in self._read(path)]

    def _read(self, path: Path) -> list[Connection]:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._offsets[path] = self._offsets.get(path, 0) + len(complete)
        return [parse(line) for line in complete.splitlines() if line.strip()]


def moment(now: dt.datetime) -> str:
    """A time as access logs write it."""
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def parse(line: bytes) -> Connection:
    """One line of an access log."""
    try:
        return msgspec.json.decode(line, type=Connection, strict=False)
    except msgspec.MsgspecError as error:
        raise BadDataError(f"a line of an access log is not as expected ({error}): {line[:200]!r}") from error


def pairs(connections: Iterable[Connection], workloads: Iterable[Workload], namespace: str) -> tuple[Pair, ...]:
    """The pairs of `workloads` that talked, by their labels. Each connection is counted once, where it began."""
    connections = list(connections)
    known = {workload.pod: workload for workload in workloads}
    shown = {c.traceparent: c.source_identity for c in connections if c.direction == "inbound" and c.traceparent}
    groups: dict[tuple[str, str, Route], list[Connection]] = defaultdict(list)
    for connection in connections:
        inside = connection.source_namespace == connection.destination_namespace == namespace
        if (
            connection.direction == "outbound"
            and inside
            and {connection.source, connection.destination} <= known.keys()
        ):
            key = (connection.source, connection.destination, connection.path)
            groups[key].append(connection)
    made = [_pair(known[s], known[d], path, found, shown) for (s, d, path), found in groups.items()]
    return tuple(sorted(made, key=lambda pair: (pair.source, pair.destination, pair.path)))


def _pair(
    source: Workload, destination: Workload, path: Route, found: list[Connection], shown: Mapping[str, str]
) -> Pair:
    return Pair(
        source=source.label,
        destination=destination.label,
        path=path,
        source_node=source.node,
        destination_node=destination.node,
        source_identities=_without_empty(c.source_identity for c in found),
        verified_source=_without_empty(shown.get(c.traceparent, "") for c in found),
        destination_identities=_without_empty(c.destination_identity for c in found),
        tls_versions=_without_empty(c.tls_version for c in found),
        connections=len(found),
        failed=sum(1 for c in found if c.error or _FAILURES & set(c.response_flags.split(","))),
        median_ms=statistics.median(c.duration_ms for c in found),
    )


def _without_empty(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value for value in values if value and value != "-")
