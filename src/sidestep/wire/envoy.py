"""Envoy's API under short names: `from sidestep.wire import envoy as pb`, then `pb.Listener(...)`.

Where several Envoy packages name their message `Config`, the name here says which one it is.
"""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value, UInt64Value

from sidestep.wire._pb.envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from sidestep.wire._pb.envoy.config.bootstrap.v3.bootstrap_pb2 import Admin, Bootstrap, LayeredRuntime, RuntimeLayer
from sidestep.wire._pb.envoy.config.cluster.v3.cluster_pb2 import Cluster
from sidestep.wire._pb.envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from sidestep.wire._pb.envoy.config.core.v3.address_pb2 import (
    Address,
    BindConfig,
    CidrRange,
    EnvoyInternalAddress,
    ExtraSourceAddress,
    Pipe,
    SocketAddress,
    TcpKeepalive,
)
from sidestep.wire._pb.envoy.config.core.v3.base_pb2 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    Locality,
    Metadata,
    Node,
    RuntimeDouble,
    RuntimeFractionalPercent,
    TransportSocket,
)
from sidestep.wire._pb.envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiConfigSource,
    ApiVersion,
    ConfigSource,
    ExtensionConfigSource,
)
from sidestep.wire._pb.envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from sidestep.wire._pb.envoy.config.core.v3.grpc_service_pb2 import GrpcService
from sidestep.wire._pb.envoy.config.core.v3.health_check_pb2 import UNHEALTHY
from sidestep.wire._pb.envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, KeepaliveSettings
from sidestep.wire._pb.envoy.config.core.v3.socket_option_pb2 import SocketOption
from sidestep.wire._pb.envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from sidestep.wire._pb.envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from sidestep.wire._pb.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from sidestep.wire._pb.envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
)
from sidestep.wire._pb.envoy.config.listener.v3.listener_pb2 import AdditionalAddress, Listener
from sidestep.wire._pb.envoy.config.metrics.v3.stats_pb2 import StatsConfig, StatsMatcher
from sidestep.wire._pb.envoy.config.overload.v3.overload_pb2 import OverloadManager
from sidestep.wire._pb.envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from sidestep.wire._pb.envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from sidestep.wire._pb.envoy.config.route.v3.route_pb2 import RouteConfiguration
from sidestep.wire._pb.envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from sidestep.wire._pb.envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import (
    ExpressionFilter as CelExpressionFilter,
)
from sidestep.wire._pb.envoy.extensions.access_loggers.stats.v3.stats_pb2 import Config as StatsAccessLog
from sidestep.wire._pb.envoy.extensions.bootstrap.internal_listener.v3.internal_listener_pb2 import InternalListener
from sidestep.wire._pb.envoy.extensions.filters.common.set_filter_state.v3.value_pb2 import FilterStateValue
from sidestep.wire._pb.envoy.extensions.filters.http.original_src.v3.original_src_pb2 import (
    OriginalSrc as HttpOriginalSrc,
)
from sidestep.wire._pb.envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC as HttpRbacFilter
from sidestep.wire._pb.envoy.extensions.filters.http.router.v3.router_pb2 import Router
from sidestep.wire._pb.envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2 import (
    Config as HttpSetFilterState,
)
from sidestep.wire._pb.envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from sidestep.wire._pb.envoy.extensions.filters.listener.original_src.v3.original_src_pb2 import OriginalSrc
from sidestep.wire._pb.envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    LocalReplyConfig,
)
from sidestep.wire._pb.envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC as NetworkRbacFilter
from sidestep.wire._pb.envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2 import (
    Config as NetworkSetFilterState,
)
from sidestep.wire._pb.envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from sidestep.wire._pb.envoy.extensions.load_balancing_policies.least_request.v3.least_request_pb2 import LeastRequest
from sidestep.wire._pb.envoy.extensions.local_address_selectors.filter_state_override.v3.config_pb2 import (
    Config as FilterStateAddressSelector,
)
from sidestep.wire._pb.envoy.extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2 import (
    DownstreamConnectionsConfig,
)
from sidestep.wire._pb.envoy.extensions.transport_sockets.internal_upstream.v3.internal_upstream_pb2 import (
    InternalUpstreamTransport,
)
from sidestep.wire._pb.envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from sidestep.wire._pb.envoy.extensions.transport_sockets.tls.cert_mappers.filter_state_override.v3.config_pb2 import (
    Config as FilterStateCertificateMapper,
)
from sidestep.wire._pb.envoy.extensions.transport_sockets.tls.cert_selectors.on_demand_secret.v3.config_pb2 import (
    Config as OnDemandSecret,
)
from sidestep.wire._pb.envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
)
from sidestep.wire._pb.envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from sidestep.wire._pb.envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)
from sidestep.wire._pb.envoy.extensions.transport_sockets.tls.v3.tls_spiffe_validator_config_pb2 import (
    SPIFFECertValidatorConfig,
)
from sidestep.wire._pb.envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from sidestep.wire._pb.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    Resource,
)
from sidestep.wire._pb.envoy.type.matcher.v3.filter_state_pb2 import FilterStateMatcher
from sidestep.wire._pb.envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from sidestep.wire._pb.envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from sidestep.wire._pb.envoy.type.metadata.v3.metadata_pb2 import MetadataKind
from sidestep.wire._pb.envoy.type.v3.percent_pb2 import FractionalPercent, Percent
from sidestep.wire._pb.envoy.type.v3.range_pb2 import Int32Range

__all__ = [
    "CLUSTER",
    "CLUSTER_LOAD_ASSIGNMENT",
    "EXTENSION_CONFIG",
    "LISTENER",
    "RBAC",
    "SECRET",
    "TYPE_PREFIX",
    "UNHEALTHY",
    "AccessLog",
    "AccessLogFilter",
    "AdditionalAddress",
    "Address",
    "Admin",
    "AggregatedConfigSource",
    "Any",
    "ApiConfigSource",
    "ApiVersion",
    "BindConfig",
    "BoolValue",
    "Bootstrap",
    "CelExpressionFilter",
    "CertificateValidationContext",
    "CidrRange",
    "Cluster",
    "ClusterLoadAssignment",
    "CommonTlsContext",
    "ConfigSource",
    "DataSource",
    "DeltaDiscoveryRequest",
    "DeltaDiscoveryResponse",
    "DownstreamConnectionsConfig",
    "DownstreamTlsContext",
    "Duration",
    "Endpoint",
    "EnvoyInternalAddress",
    "ExtensionConfigSource",
    "ExtraSourceAddress",
    "FileAccessLog",
    "Filter",
    "FilterChain",
    "FilterChainMatch",
    "FilterStateAddressSelector",
    "FilterStateCertificateMapper",
    "FilterStateMatcher",
    "FilterStateValue",
    "FractionalPercent",
    "GrpcService",
    "HeaderValue",
    "HeaderValueOption",
    "Http2ProtocolOptions",
    "HttpConnectionManager",
    "HttpFilter",
    "HttpOriginalSrc",
    "HttpProtocolOptions",
    "HttpRbacFilter",
    "HttpSetFilterState",
    "Int32Range",
    "InternalListener",
    "InternalUpstreamTransport",
    "KeepaliveSettings",
    "LayeredRuntime",
    "LbEndpoint",
    "LeastRequest",
    "ListStringMatcher",
    "Listener",
    "ListenerFilter",
    "LocalReplyConfig",
    "Locality",
    "LocalityLbEndpoints",
    "Message",
    "Metadata",
    "MetadataKind",
    "MetadataMatcher",
    "NetworkRbacFilter",
    "NetworkSetFilterState",
    "Node",
    "OnDemandSecret",
    "OriginalDst",
    "OriginalSrc",
    "OutlierDetection",
    "OverloadManager",
    "Percent",
    "Permission",
    "Pipe",
    "Policy",
    "Principal",
    "RawBuffer",
    "Resource",
    "Route",
    "RouteAction",
    "RouteConfiguration",
    "RouteMatch",
    "Router",
    "RuntimeDouble",
    "RuntimeFractionalPercent",
    "RuntimeLayer",
    "SPIFFECertValidatorConfig",
    "SdsSecretConfig",
    "Secret",
    "SocketAddress",
    "SocketOption",
    "StatsAccessLog",
    "StatsConfig",
    "StatsMatcher",
    "StringMatcher",
    "Struct",
    "SubjectAltNameMatcher",
    "SubstitutionFormatString",
    "TcpKeepalive",
    "TcpProxy",
    "TlsCertificate",
    "TlsParameters",
    "TransportSocket",
    "TypedExtensionConfig",
    "UInt32Value",
    "UInt64Value",
    "UpstreamTlsContext",
    "VirtualHost",
    "any_of",
]

TYPE_PREFIX = "type.googleapis.com/"
LISTENER = TYPE_PREFIX + Listener.DESCRIPTOR.full_name
CLUSTER = TYPE_PREFIX + Cluster.DESCRIPTOR.full_name
CLUSTER_LOAD_ASSIGNMENT = TYPE_PREFIX + ClusterLoadAssignment.DESCRIPTOR.full_name
SECRET = TYPE_PREFIX + Secret.DESCRIPTOR.full_name
EXTENSION_CONFIG = TYPE_PREFIX + TypedExtensionConfig.DESCRIPTOR.full_name


def any_of(message: Message) -> Any:
    """`message` packed into an Any, with deterministic bytes: equal messages stay equal."""
    return Any(type_url=TYPE_PREFIX + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True))
