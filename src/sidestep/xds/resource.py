"""One named, versioned piece of configuration, as bytes: this package knows no resource type."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Self

from sidestep.wire import envoy as pb

_VERSION_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of the cache or of a response. Its body may be a secret: neither `repr` nor `str` show it."""

    name: str
    type_url: str
    body: bytes
    version: str
    """Hash of body and aliases: equal resources have equal versions, across restarts of the server as well."""
    aliases: tuple[str, ...] = ()
    """Other names under which it can be subscribed to."""
    named_only: bool = False
    """True: not part of the wildcard's answer, only of an answer to its name. Not sent to clients."""

    @classmethod
    def of(cls, name: str, message: pb.Message, aliases: tuple[str, ...] = (), *, named_only: bool = False) -> Self:
        """The resource that holds `message`."""
        body = message.SerializeToString(deterministic=True)
        return cls(
            name=name,
            type_url=pb.TYPE_PREFIX + message.DESCRIPTOR.full_name,
            body=body,
            version=_version(body, aliases),
            aliases=tuple(aliases),
            named_only=named_only,
        )

    @classmethod
    def from_wire(cls, message: pb.Resource, type_url: str) -> Self:
        """The resource of a response; `type_url` is the response's."""
        return cls(
            name=message.name,
            type_url=message.resource.type_url or type_url,
            body=message.resource.value,
            version=message.version,
            aliases=tuple(message.aliases),
        )

    @functools.cached_property
    def entry(self) -> bytes:
        """The part of an encoded `DeltaDiscoveryResponse` that holds this resource; made once for all streams."""
        resource = pb.Resource(
            name=self.name,
            aliases=self.aliases,
            version=self.version,
            resource=pb.Any(type_url=self.type_url, value=self.body),
        )
        return pb.DeltaDiscoveryResponse(resources=[resource]).SerializeToString()

    def __repr__(self) -> str:
        """Name, type, version and size."""
        kind = self.type_url.rpartition(".")[2]
        return f"<{kind} {self.name!r} version {self.version}, {len(self.body)} bytes>"


def _version(body: bytes, aliases: tuple[str, ...]) -> str:
    digest = hashlib.blake2b(body, digest_size=_VERSION_BYTES)
    for alias in aliases:
        digest.update(b"\0" + alias.encode())
    return digest.hexdigest()
