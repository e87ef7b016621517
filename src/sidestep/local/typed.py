"""Stored resources as the mesh sees them."""

from __future__ import annotations

from sidestep.api.meta import ResourceKey
from sidestep.api.parse import Resources
from sidestep.local.instance import Instance
from sidestep.mesh.build import MeshSettings, build
from sidestep.mesh.enrolment import is_enrolled
from sidestep.mesh.model import Mesh


def enrolled_pods(resources: Resources) -> frozenset[ResourceKey]:
    """The pods that their labels and their namespaces' put into the mesh."""
    found = set()
    for (namespace, name), pod in resources.pods.items():
        owner = resources.namespaces.get(("", namespace))
        if is_enrolled(pod, owner):
            found.add(ResourceKey(kind="Pod", namespace=namespace, name=name))
    return frozenset(found)


def mesh_of(resources: Resources, instance: Instance) -> Mesh:
    """The mesh model, for the addresses and endpoints of Services."""
    settings = MeshSettings(trust_domain=instance.trust_domain, domain=instance.domain)
    return build(resources, settings, {}).mesh
