"""What every resource has: metadata, a key, and checks of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Self

import msgspec

from sidestep.api import validate
from sidestep.api.finding import Finding, Path

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""An RFC 3339 time with its zone, as Kubernetes writes them."""


PortNumber = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of a resource. Attributes are the manifest's fields in snake case; fields we do not model are skipped."""


class StrictModel(Model, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of which every field is modelled, so that an unknown one is a mistake (in a policy, a dangerous one)."""


class ResourceKey(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Names a resource. `namespace` is empty for kinds without namespaces."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


class TypeMeta(Model, frozen=True, kw_only=True):
    """Which kind a document is of."""

    api_version: str
    kind: str


class OwnerReference(Model, frozen=True, kw_only=True):
    """What made a resource: a pod's ReplicaSet, for instance."""

    kind: str
    name: str
    api_version: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(Model, frozen=True, kw_only=True):
    """Name, labels and origin of a resource."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    owner_references: tuple[OwnerReference, ...] = ()


class LabelSelector(Model, frozen=True, kw_only=True):
    """Selects by labels. Kubernetes' `matchExpressions` exist in Deployments; nothing of ours reads them."""

    match_labels: Mapping[str, str] = {}


class Resource(Model, frozen=True, kw_only=True):
    """The base of every kind; subclasses add `spec` and, where we use it, `status`."""

    KIND: ClassVar[str]
    API_VERSION: ClassVar[str]
    """The one that we write; the registry knows those that we read."""
    NAMESPACED: ClassVar[bool] = True

    metadata: ObjectMeta

    @property
    def key(self) -> ResourceKey:
        return ResourceKey(kind=self.KIND, namespace=self.namespace, name=self.metadata.name)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Empty for kinds without namespaces."""
        return self.metadata.namespace if self.NAMESPACED else ""

    def in_namespace(self, default: str) -> Self:
        """The same resource, in `default` if it names no namespace."""
        wanted = (self.metadata.namespace or default) if self.NAMESPACED else ""
        if wanted == self.metadata.namespace:
            return self
        return msgspec.structs.replace(self, metadata=msgspec.structs.replace(self.metadata, namespace=wanted))

    def findings(self) -> Iterator[Finding]:
        """All that is wrong with the values; the types are right already."""
        if self.name:
            yield from self.name_findings()
        else:
            yield Finding(("metadata", "name"), "missing; every resource needs a name")
        yield from metadata_findings(self.metadata)
        yield from self.value_findings()

    def name_findings(self) -> Iterator[Finding]:
        """What is wrong with the name; kinds with narrower rules override it."""
        yield from validate.name(self.name, ("metadata", "name"))

    def value_findings(self) -> Iterator[Finding]:
        """What is wrong beside the metadata: kinds override it."""
        return iter(())


def metadata_findings(metadata: ObjectMeta) -> Iterator[Finding]:
    """Checks the namespace and the labels."""
    if metadata.namespace:
        yield from validate.label_name(metadata.namespace, ("metadata", "namespace"))
    yield from validate.labels(metadata.labels, ("metadata", "labels"))
    yield from validate.annotation_values(metadata.annotations, ("metadata", "annotations"))


__all__ = [
    "Finding",
    "LabelSelector",
    "Model",
    "ObjectMeta",
    "OwnerReference",
    "Path",
    "PortNumber",
    "Resource",
    "ResourceKey",
    "StrictModel",
    "Timestamp",
    "TypeMeta",
    "metadata_findings",
]
