"""The mesh as the data plane needs it: workloads, services, policies. Pure data.

Built from API objects by `sidestep.mesh.build`, carried over WDS by `sidestep.mesh.wds`, and read by every
translator. Addresses are textual (`10.244.1.5`, `fd00::5`). The fields are those of WDS (Istio's
`istio.workload.Address` and `istio.security.Authorization`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec


class TunnelProtocol(enum.Enum):
    """How a workload takes traffic: plain TCP, or HBONE on port 15008."""

    NONE = "none"
    HBONE = "hbone"


class ApplicationProtocol(enum.Enum):
    """What a service port speaks, as far as its manifest says."""

    UNKNOWN = "unknown"
    HTTP11 = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    TCP = "tcp"
    TLS = "tls"


class Scope(enum.Enum):
    """Where a load balancer prefers to stay; endpoints are ranked by how many leading scopes they match."""

    REGION = "region"
    ZONE = "zone"
    SUBZONE = "subzone"
    NODE = "node"
    CLUSTER = "cluster"
    NETWORK = "network"


class BalancingMode(enum.Enum):
    """STRICT: only endpoints matching all scopes. FAILOVER: the best rank first. PASSTHROUGH: as the client aimed."""

    ANY = "any"
    STRICT = "strict"
    FAILOVER = "failover"
    PASSTHROUGH = "passthrough"


class IpFamilies(enum.Enum):
    """Address families in which a service answers."""

    AUTOMATIC = "automatic"
    IPV4_ONLY = "ipv4"
    IPV6_ONLY = "ipv6"
    DUAL = "dual"


class Locality(msgspec.Struct, frozen=True, kw_only=True):
    """Where a workload runs."""

    region: str = ""
    zone: str = ""
    subzone: str = ""


class NetworkAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address on a named network ("" is the default one)."""

    address: str
    network: str = ""
    prefix_length: int | None = None
    """Set: the whole block `address/prefix_length` (a ServiceEntry may have one). None: one address."""


class NamespacedHostname(msgspec.Struct, frozen=True, kw_only=True):
    """A service by its key."""

    namespace: str
    hostname: str


class GatewayAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a waypoint or a network gateway is found; exactly one of the two is set."""

    hostname: NamespacedHostname | None = None
    address: NetworkAddress | None = None
    hbone_port: int = 15008


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A service port. In a service, `target_port` 0 means that each workload names its own."""

    service_port: int
    target_port: int
    application_protocol: ApplicationProtocol = ApplicationProtocol.UNKNOWN


class LoadBalancing(msgspec.Struct, frozen=True, kw_only=True):
    """How a client picks among a service's endpoints."""

    preference: tuple[Scope, ...] = ()
    mode: BalancingMode = BalancingMode.ANY
    unhealthy_too: bool = False
    """True: endpoints that are not ready are used as well (`publishNotReadyAddresses`)."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One pod, WorkloadEntry or ServiceEntry endpoint."""

    uid: str
    """Unique in the mesh: `cluster/group/kind/namespace/name[/section]`."""
    name: str
    namespace: str
    addresses: tuple[str, ...] = ()
    hostname: str = ""
    """A DNS name to resolve when there is no address."""
    network: str = ""
    cluster_id: str = ""
    trust_domain: str = "cluster.local"
    service_account: str = "default"
    node: str = ""
    canonical_name: str = ""
    canonical_revision: str = ""
    workload_type: str = "pod"
    """deployment, cronjob, pod or job: what `workload_name` names."""
    workload_name: str = ""
    tunnel_protocol: TunnelProtocol = TunnelProtocol.NONE
    native_tunnel: bool = False
    services: Mapping[str, tuple[Port, ...]] = {}
    """By service key: the ports at which this workload serves it, `target_port` resolved."""
    authorization_policies: tuple[str, ...] = ()
    """Keys of the selector-scoped policies that select it."""
    healthy: bool = True
    locality: Locality = Locality()
    host_network: bool = False
    capacity: int = 1
    waypoint: GatewayAddress | None = None
    network_gateway: GatewayAddress | None = None

    @property
    def identity(self) -> str:
        """Its SPIFFE id."""
        return f"spiffe://{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A Kubernetes Service or one host of a ServiceEntry."""

    name: str
    namespace: str
    hostname: str
    addresses: tuple[NetworkAddress, ...] = ()
    """Virtual addresses; empty for a headless service."""
    ports: tuple[Port, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
    waypoint: GatewayAddress | None = None
    load_balancing: LoadBalancing = LoadBalancing()
    ip_families: IpFamilies = IpFamilies.AUTOMATIC
    canonical: bool = True
    """True for a Kubernetes Service: it wins over a ServiceEntry of the same hostname."""
    private: bool = False
    """True: only its own namespace resolves the name (WDS visibility NAMESPACE)."""

    @property
    def key(self) -> str:
        """`namespace/hostname`, the name of the WDS resource."""
        return f"{self.namespace}/{self.hostname}"


class PolicyScope(enum.Enum):
    """What a policy covers: the mesh, its namespace, or the workloads that list it."""

    GLOBAL = "global"
    NAMESPACE = "namespace"
    WORKLOAD_SELECTOR = "workload"


class Action(enum.Enum):
    """What a match means."""

    ALLOW = "allow"
    DENY = "deny"


class StringMatch(msgspec.Struct, frozen=True, kw_only=True):
    """One of: equal to `exact`, starts with `prefix`, ends with `suffix`; none of them set: any non-empty string."""

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None


class ServiceAccountMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A service account of a namespace."""

    namespace: str
    service_account: str


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Fields are ANDed, values of one field ORed; `not_` fields must match none. All empty: matches nothing.

    Principals are `td/ns/…/sa/…`, without the scheme. Blocks are CIDRs, e.g. `10.0.0.0/8`.
    """

    namespaces: tuple[StringMatch, ...] = ()
    not_namespaces: tuple[StringMatch, ...] = ()
    service_accounts: tuple[ServiceAccountMatch, ...] = ()
    not_service_accounts: tuple[ServiceAccountMatch, ...] = ()
    principals: tuple[StringMatch, ...] = ()
    not_principals: tuple[StringMatch, ...] = ()
    source_blocks: tuple[str, ...] = ()
    not_source_blocks: tuple[str, ...] = ()
    destination_blocks: tuple[str, ...] = ()
    not_destination_blocks: tuple[str, ...] = ()
    destination_ports: tuple[int, ...] = ()
    not_destination_ports: tuple[int, ...] = ()


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """Matches any of its matches."""

    matches: tuple[Match, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Matches when all of its clauses do; without clauses it matches everything."""

    clauses: tuple[Clause, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A layer 4 policy (`istio.security.Authorization`). Without rules it matches nothing."""

    name: str
    namespace: str
    scope: PolicyScope
    action: Action
    rules: tuple[Rule, ...] = ()
    dry_run: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`, the name of the WDS resource."""
        return f"{self.namespace}/{self.name}"


class Mesh(msgspec.Struct, frozen=True, kw_only=True):
    """The whole model, by key."""

    workloads: Mapping[str, Workload] = {}
    services: Mapping[str, Service] = {}
    policies: Mapping[str, Policy] = {}
