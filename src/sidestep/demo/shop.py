"""The sample shop: where its manifests are and what it is known to do."""

from __future__ import annotations

from pathlib import Path

from sidestep.local.errors import NoInputError

NAMESPACE = "shop"
REQUEST_TEXT = b"the-quiet-harbour"
"""The name of a book. Every request that starts at the load generator carries it, on every hop."""
LOAD = "load"
"""The application that makes the requests."""
PAIRS = (
    ("load", "front"),
    ("front", "catalogue"),
    ("front", "reviews v1"),
    ("front", "reviews v2"),
    ("front", "reviews v3"),
    ("reviews v2", "ratings"),
    ("reviews v3", "ratings"),
)
"""Who connects to whom. The last two speak the shop's own protocol on plain TCP, the others HTTP."""


def manifests() -> Path:
    """The folder of the manifests: inside an installed package, or in the clone that an editable one comes from."""
    package = Path(__file__).parents[1]
    for folder in (package / "samples" / "shop", package.parents[1] / "samples" / "shop"):
        if (folder / "00-namespace.yaml").is_file():
            return folder
    raise NoInputError(f"the sample shop is missing from {package}: this installation is not complete")


def namespace_manifest(*, in_mesh: bool) -> str:
    """The shop's Namespace, with the label that puts its pods into the mesh or without it."""
    label = "  labels:\n    istio.io/dataplane-mode: ambient\n" if in_mesh else ""
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n{label}"


def identity(trust_domain: str, application: str) -> str:
    """The SPIFFE id of an application: each has a ServiceAccount of its own name."""
    return f"spiffe://{trust_domain}/ns/{NAMESPACE}/sa/{application.split(maxsplit=1)[0]}"
