from __future__ import annotations

import pytest

from sidestep.api.meta import OwnerReference
from sidestep.mesh.naming import canonical_name, canonical_revision, workload_of


def test_canonical_name_and_revision() -> None:
    labels = {"app": "b", "app.kubernetes.io/name": "a", "version": "v2"}
    assert canonical_name(labels, "w") == "a"
    assert canonical_name({"app": "b"}, "w") == "b"
    assert canonical_name({"app": ""}, "w") == "w"
    assert canonical_name({**labels, "service.istio.io/canonical-name": "c"}, "w") == "c"
    assert canonical_revision(labels) == "v2"
    assert canonical_revision({}) == "latest"


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        (None, {}, ("pod", "p")),
        (
            OwnerReference(kind="ReplicaSet", name="web-5d4", controller=True),
            {"pod-template-hash": "5d4"},
            ("deployment", "web"),
        ),
        (OwnerReference(kind="ReplicaSet", name="web-5d4", controller=True), {}, ("pod", "web-5d4")),
        (OwnerReference(kind="Deployment", name="web", controller=True), {}, ("deployment", "web")),
        (OwnerReference(kind="StatefulSet", name="db", controller=True), {}, ("pod", "db")),
        (OwnerReference(kind="Job", name="backup-28912345", controller=True), {}, ("cronjob", "backup")),
        (OwnerReference(kind="Job", name="migrate-2", controller=True), {}, ("job", "migrate-2")),
        (OwnerReference(kind="ReplicaSet", name="web-5d4"), {"pod-template-hash": "5d4"}, ("pod", "p")),
    ],
)
def test_workload_of(owner: OwnerReference | None, labels: dict[str, str], expected: tuple[str, str]) -> None:
    assert workload_of("p", labels, () if owner is None else (owner,)) == expected
