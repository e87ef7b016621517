"""Pieces of Envoy configuration that know nothing of a mesh: every translator may build on them. Pure."""

from __future__ import annotations

import enum
from pathlib import Path

from google.protobuf.message import Message

from sidestep.wire import envoy as pb

SOL_SOCKET = 1
SO_MARK = 36
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class StateFactory(enum.Enum):
    """How Envoy keeps a filter state value."""

    OF_THE_KEY = ""
    """The factory registered under the key itself: for keys that Envoy knows."""
    STRING = "envoy.string"
    HASHABLE_STRING = "envoy.hashable_string"
    """Part of the key of connection pools: connections of different values never mix."""


class Sharing(enum.Enum):
    """Which later connections see a filter state value."""

    NONE = pb.FilterStateValue.NONE
    ONCE = pb.FilterStateValue.ONCE
    """The upstream connection, and an internal listener behind it."""
    TRANSITIVE = pb.FilterStateValue.TRANSITIVE
    """All connections that follow from this one."""


def typed(name: str, message: Message) -> pb.TypedExtensionConfig:
    """An extension with its configuration."""
    return pb.TypedExtensionConfig(name=name, typed_config=pb.any_of(message))


def duration(seconds: float) -> pb.Duration:
    """A protobuf duration."""
    whole, nanos = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return pb.Duration(seconds=whole, nanos=nanos)


def ads_config_source(*, initial_fetch_seconds: float | None = None) -> pb.ConfigSource:
    """Discovery over the one aggregated stream.

    `initial_fetch_seconds` bounds how long Envoy waits for the first answer before it goes on without one:
    None is Envoy's own 15 s, 0 waits for ever.
    """
    source = pb.ConfigSource(ads=pb.AggregatedConfigSource(), resource_api_version=pb.ApiVersion.V3)
    if initial_fetch_seconds is not None:
        source.initial_fetch_timeout.CopyFrom(duration(initial_fetch_seconds))
    return source


def in_pod(address: str, port: int, network_namespace: str) -> pb.Address:
    """An address inside the network namespace that is mounted at the path `network_namespace`."""
    return pb.Address(
        socket_address=pb.SocketAddress(address=address, port_value=port, network_namespace_filepath=network_namespace)
    )


def pipe(path: Path, *, mode: int = 0) -> pb.Address:
    """A Unix socket; `mode` 0 leaves the file's mode to the umask."""
    return pb.Address(pipe=pb.Pipe(path=str(path), mode=mode))


def filter_state(
    key: str,
    value: str,
    *,
    factory: StateFactory = StateFactory.OF_THE_KEY,
    shared: Sharing = Sharing.NONE,
) -> pb.FilterStateValue:
    """Filter state `key` from the format string `value`; an empty result sets nothing."""
    return pb.FilterStateValue(
        object_key=key,
        factory_key=factory.value,
        format_string=pb.SubstitutionFormatString(
            text_format_source=pb.DataSource(inline_string=value), omit_empty_values=True
        ),
        shared_with_upstream=shared.value,
        skip_if_empty=True,
    )


def literal(value: str) -> str:
    """`value` for use inside a format string."""
    return value.replace("%", "%%")


def socket_mark(mark: int) -> pb.SocketOption:
    """SO_MARK on a socket, before it is bound: rules in its namespace tell it from the applications' sockets."""
    return pb.SocketOption(
        description="mark", level=SOL_SOCKET, name=SO_MARK, int_value=mark, state=pb.SocketOption.STATE_PREBIND
    )


def bind_config(mark: int) -> pb.BindConfig:
    """Dial with SO_MARK `mark`, in either family, from the network namespace that filter state names (if any)."""
    option = socket_mark(mark)
    return pb.BindConfig(
        source_address=pb.SocketAddress(address="0.0.0.0", port_value=0),
        extra_source_addresses=[
            pb.ExtraSourceAddress(
                address=pb.SocketAddress(address="::", port_value=0), socket_options={"socket_options": [option]}
            )
        ],
        socket_options=[option],
        local_address_selector=typed("namespace", pb.FilterStateAddressSelector()),
    )


def tls_parameters() -> pb.TlsParameters:
    """TLS 1.3 and nothing else: both ends of the range are set, since an upstream's default maximum is 1.2."""
    return pb.TlsParameters(
        tls_minimum_protocol_version=pb.TlsParameters.TLSv1_3, tls_maximum_protocol_version=pb.TlsParameters.TLSv1_3
    )


def http2_upstream(options: pb.Http2ProtocolOptions) -> dict[str, pb.Any]:
    """`typed_extension_protocol_options` of a cluster whose endpoints speak HTTP/2 without negotiation."""
    return {HTTP_OPTIONS: pb.any_of(pb.HttpProtocolOptions(explicit_http_config={"http2_protocol_options": options}))}
