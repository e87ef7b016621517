"""Keeps the xDS cache that the node's Envoy reads in step with pods and mesh.

Listeners and base clusters are pushed. Destinations, endpoints and certificates are answered when Envoy asks, and
followed from then on: what a node's Envoy holds grows with what its pods talk to.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import structlog

from sidestep.identity.certificate import WorkloadCertificate
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import destinations, names, node_proxy, secrets
from sidestep.node.translator.destinations import Destination, Refused, Unknown
from sidestep.node.view import MeshView
from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.resource import Resource

# How long a connection to a mesh address is held while the mesh has not described it.
UNKNOWN_SECONDS = 3.0

_log = structlog.get_logger()


class ProxyConfiguration:
    """The node proxy's resources. All methods are for the event loop's thread and do not block."""

    def __init__(self, settings: NodeSettings, view: MeshView, cache: Cache) -> None:
        self._settings = settings
        self._view = view
        self._cache = cache
        self._pods: dict[str, Pod] = {}
        self._mesh_known = False
        self._local: dict[str, str] = {}
        # By destination address: the clusters that Envoy asked for.
        self._asked: dict[str, set[str]] = {}
        self._resting: AbstractSet[str] = frozenset()
        self._unknown_since: dict[str, float] = {}
        # Of services and workloads that no mesh range contains: there are few, and listeners name them.
        self._mesh_addresses: Sequence[str] = ()

    @property
    def pods(self) -> Mapping[str, Pod]:
        """The enrolled pods, by uid."""
        return self._pods

    def holds(self, identity: str) -> bool:
        """Whether a pod of this node has that identity."""
        return any(pod.identity(self._settings.trust_domain) == identity for pod in self._pods.values())

    @property
    def mesh_known(self) -> bool:
        """Whether the mesh was described as a whole, now or in an earlier life of the agent."""
        return self._mesh_known

    def mesh_is_known(self) -> None:
        """Listeners and policies may go out, those of the present pods at once.

        Before that the policies that nobody has told us would look like none at all, and addresses of the mesh like
        those of strangers: an Envoy that outlived its agent keeps what it has, a new one serves nothing yet.
        """
        if self._mesh_known:
            return
        self._mesh_known = True
        self._mesh_addresses = node_proxy.outside_ranges(self._settings, self._view.addresses())
        self._publish_policies()
        self._publish_listeners()
        for type_url in (pb.EXTENSION_CONFIG, pb.LISTENER):
            self._cache.mark_complete(type_url)

    def publish_base(self) -> None:
        """Base clusters; from now on Envoy is told which clusters do not exist, too."""
        self._cache.update(
            pb.CLUSTER, [Resource.of(each.name, each) for each in node_proxy.static_clusters(self._settings)]
        )
        self._cache.mark_complete(pb.CLUSTER)

    # --- what changes --------------------------------------------------------------------------------------------

    def put_pod(self, pod: Pod) -> None:
        """Adds a pod, or replaces what was known of it."""
        self._pods[pod.uid] = pod
        self._pods_changed(pod.addresses)

    def remove_pod(self, uid: str) -> None:
        """Takes the pod's listeners away; an unknown uid is no error."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._pods_changed(pod.addresses)

    def mesh_changed(self, addresses: Iterable[str], *, policies: bool) -> None:
        """`addresses` have changed their meaning; `policies`: some policy has changed, or whom it covers."""
        touched = set(addresses)
        for address in self._asked_among(touched):
            self._refresh_destinations(address)
        ours = any(address in touched for pod in self._pods.values() for address in pod.addresses)
        if policies or ours:
            self._publish_policies()
        if self._mesh_addresses_changed(touched) or ours:
            self._publish_listeners()

    def endpoints_rest(self, resting: AbstractSet[str], changed: Iterable[str]) -> None:
        """`resting` endpoints get no new connections; `changed` are those that began or ceased to rest."""
        self._resting = resting
        touched: set[str] = set()
        for endpoint in changed:
            address = endpoint.rpartition(":")[0].strip("[]")
            workload = self._view.workload_at(address)
            touched |= {address} if workload is None else self._view.addresses_of(workload)
        for address in self._asked_among(touched):
            self._refresh_destinations(address)

    def put_certificate(self, certificate: WorkloadCertificate) -> None:
        """A new or renewed certificate, for both of its roles."""
        identity = str(certificate.identity)
        chain, key = certificate.chain_pem.encode(), certificate.private_key_pem.encode()
        self._cache.update(
            pb.SECRET,
            [
                Resource.of(name, secrets.certificate_secret(name, chain, key))
                for name in (names.client_certificate(identity), names.server_certificate(identity))
            ],
        )

    def put_trust_bundle(self, roots_pem: bytes) -> None:
        """The roots in force."""
        bundle = secrets.trust_bundle_secret(roots_pem, self._settings.trust_domain)
        self._cache.update(pb.SECRET, [Resource.of(names.TRUST_BUNDLE, bundle)])

    def forget_certificate(self, identity: str) -> None:
        """No pod of the node has this identity any more."""
        self._cache.update(pb.SECRET, [], [names.client_certificate(identity), names.server_certificate(identity)])

    # --- what Envoy asks for -------------------------------------------------------------------------------------

    def ask_destination(self, cluster: str) -> bool:
        """Envoy wants the cluster or its endpoints: puts them into the cache and keeps them current.

        True when that is settled, one way or the other; False while the mesh may still describe the address.
        """
        parsed = names.parse_destination(cluster)
        if parsed is None:
            return True
        address, _ = parsed
        self._asked.setdefault(address, set()).add(cluster)
        return self._publish_destination(cluster)

    def settle_unknown(self) -> None:
        """Gives up on addresses that stayed unknown for too long: their connections fail instead of hanging.

        Only to be called when the mesh is known as a whole.
        """
        limit = time.monotonic() - UNKNOWN_SECONDS
        for cluster in [name for name, since in self._unknown_since.items() if since < limit]:
            _log.warning("destination.unknown", destination=cluster.removeprefix(names.DESTINATION_PREFIX))
            self._refuse_destination(cluster, "no workload or service of the mesh has this address")

    # --- publishing ----------------------------------------------------------------------------------------------

    def _pods_changed(self, addresses: Iterable[str]) -> None:
        self._local = {address: pod.uid for pod in self._pods.values() if not pod.leaving for address in pod.addresses}
        self._publish_policies()
        self._publish_listeners()
        touched = set(addresses)
        # Services that the pod serves have endpoints whose path changes with it.
        for address in addresses:
            workload = self._view.workload_at(address)
            if workload is not None:
                touched |= self._view.addresses_of(workload)
        for address in self._asked_among(touched):
            self._refresh_destinations(address)

    def _mesh_addresses_changed(self, touched: AbstractSet[str]) -> bool:
        if not node_proxy.outside_ranges(self._settings, touched):
            return False
        before = self._mesh_addresses
        self._mesh_addresses = node_proxy.outside_ranges(self._settings, self._view.addresses())
        return self._mesh_addresses != before

    def _asked_among(self, touched: AbstractSet[str]) -> AbstractSet[str]:
        """The addresses that Envoy asked for and that are touched, by themselves or in a block."""
        blocks = [ipaddress.ip_network(each, strict=False) for each in touched if "/" in each]
        inside = {address for address in self._asked if any(ipaddress.ip_address(address) in block for block in blocks)}
        return (touched & self._asked.keys()) | inside

    def _publish_listeners(self) -> None:
        if not self._mesh_known:
            return
        made = node_proxy.listeners(self._settings, self._view, self._pods.values(), self._mesh_addresses)
        self._cache.replace(pb.LISTENER, [Resource.of(each.name, each) for each in made])

    def _publish_policies(self) -> None:
        if not self._mesh_known:
            return
        made = (
            resource for pod in self._pods.values() for resource in node_proxy.policies(self._settings, self._view, pod)
        )
        self._cache.replace(pb.EXTENSION_CONFIG, [Resource.of(each.name, each) for each in made])

    def _refresh_destinations(self, address: str) -> None:
        for cluster in tuple(self._asked[address]):
            self._publish_destination(cluster)

    def _publish_destination(self, cluster: str) -> bool:
        parsed = names.parse_destination(cluster)
        assert parsed is not None
        found = destinations.find(self._view, self._settings, *parsed)
        match found:
            case Destination():
                self._unknown_since.pop(cluster, None)
                made = destinations.destination_cluster(self._settings, found)
                assignment = destinations.load_assignment(self._settings, found, self._local, self._resting)
                self._cache.update(pb.CLUSTER_LOAD_ASSIGNMENT, [Resource.of(cluster, assignment)])
                self._cache.update(pb.CLUSTER, [Resource.of(cluster, made, named_only=True)])
                return True
            case Refused():
                _log.info("destination.refused", destination=cluster, reason=found.reason)
                self._refuse_destination(cluster, found.reason)
                return True
            case Unknown():
                if self._cache.get(pb.CLUSTER, cluster) is not None:
                    # It was known and is gone: new connections fail, until the mesh says more.
                    self._refuse_destination(cluster, "the workload or service of this address is gone")
                    return True
                self._unknown_since.setdefault(cluster, time.monotonic())
                return False

    def _refuse_destination(self, cluster: str, reason: str) -> None:
        """A cluster without endpoints, at which connections fail at once.

        Saying instead that there is no cluster would last: Envoy asks for a name only once.
        """
        self._unknown_since.pop(cluster, None)
        refused = destinations.refused_cluster(cluster, reason)
        self._cache.update(pb.CLUSTER, [Resource.of(cluster, refused, named_only=True)])
