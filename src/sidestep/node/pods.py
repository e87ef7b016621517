"""The pods that this node's agent was given, and how they are remembered across its restarts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from sidestep.wire import agent


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of this node that belongs to the mesh."""

    uid: str
    name: str
    namespace: str
    service_account: str
    network_namespace: str
    """Path of its network namespace."""
    addresses: tuple[str, ...]
    resolvers: tuple[str, ...] = ()
    """The name servers in its own resolv.conf: they get the queries that the mesh does not answer."""
    leaving: bool = False
    """True: new connections are no longer captured; it stays until its last proxied connection ends."""

    @property
    def key(self) -> str:
        """`namespace/name`, for messages."""
        return f"{self.namespace}/{self.name}"

    def identity(self, trust_domain: str) -> str:
        """Its SPIFFE id."""
        return f"spiffe://{trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    def to_wire(self) -> agent.Pod:
        """As the agent's API shows it."""
        return agent.Pod(
            uid=self.uid,
            name=self.name,
            namespace=self.namespace,
            service_account=self.service_account,
            network_namespace=self.network_namespace,
            addresses=self.addresses,
        )


class PodFile:
    """`pods.json` in the agent's folder: no secrets, so that a restarted agent serves the same pods at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Pod, ...]:
        """The pods saved last; those whose network namespace is gone are left out."""
        if not self._path.exists():
            return ()
        try:
            pods = msgspec.json.decode(self._path.read_bytes(), type=tuple[Pod, ...])
        except msgspec.DecodeError as error:
            raise ValueError(f"{self._path}: not a list of pods ({error}); remove the file and restart") from error
        return tuple(pod for pod in pods if Path(pod.network_namespace).exists())

    def save(self, pods: Iterable[Pod]) -> None:
        """Replaces the file as a whole: a crash leaves either the old or the new list."""
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(tuple(pods))))
        draft.replace(self._path)
