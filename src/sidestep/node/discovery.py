"""What the local xDS server answers when Envoy asks for something by name."""

from __future__ import annotations

from sidestep.identity.manager import CertificateManager
from sidestep.identity.spiffe import InvalidSpiffeIdError, SpiffeId
from sidestep.node.configuration import ProxyConfiguration
from sidestep.node.translator import names
from sidestep.wire import envoy as pb
from sidestep.xds.cache import Cache
from sidestep.xds.peer import Absent, Answer, Pending
from sidestep.xds.resource import Resource


class Discovery:
    """The on-demand side of the node's xDS: destinations, their endpoints, certificates.

    Certificates are given only for identities of pods that this node holds.
    """

    def __init__(self, cache: Cache, configuration: ProxyConfiguration, certificates: CertificateManager) -> None:
        self._cache = cache
        self._configuration = configuration
        self._certificates = certificates

    async def resolve(self, type_url: str, name: str, node_id: str) -> Resource | Answer:
        """Called for each name that is not in the cache."""
        del node_id
        if type_url in {pb.CLUSTER, pb.CLUSTER_LOAD_ASSIGNMENT}:
            settled = self._configuration.ask_destination(name)
            return self._cache.get(type_url, name) or (Absent if settled else Pending)
        if type_url == pb.SECRET:
            return self._secret(name)
        return Pending

    def released(self, type_url: str, name: str) -> None:
        """Nobody subscribes to it any more; destinations are few and may be asked for again, so they stay."""

    def _secret(self, name: str) -> Answer:
        if name == names.TRUST_BUNDLE:
            return Pending
        identity = names.parse_certificate(name)
        try:
            wanted = SpiffeId.parse(identity or "")
        except InvalidSpiffeIdError:
            return Absent
        if not self._configuration.holds(str(wanted)):
            return Absent
        self._certificates.want(wanted)
        return Pending
