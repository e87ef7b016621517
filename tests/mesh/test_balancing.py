from __future__ import annotations

from sidestep.mesh.balancing import DISTRIBUTION_ANNOTATION, load_balancing
from sidestep.mesh.model import BalancingMode, LoadBalancing, Scope

ZONE = (Scope.NETWORK, Scope.REGION, Scope.ZONE)


def test_nothing_said() -> None:
    assert load_balancing(annotations={}, namespace_annotations={}) == LoadBalancing()


def test_local_only_comes_first() -> None:
    found = load_balancing(local_only=True, distribution="PreferClose", annotations={}, namespace_annotations={})
    assert found == LoadBalancing(mode=BalancingMode.STRICT, preference=(Scope.NODE,))


def test_the_field_then_the_annotation_then_the_namespaces() -> None:
    node = {DISTRIBUTION_ANNOTATION: "PreferSameNode"}
    close = LoadBalancing(mode=BalancingMode.FAILOVER, preference=ZONE)
    same_node = LoadBalancing(mode=BalancingMode.FAILOVER, preference=(*ZONE, Scope.SUBZONE, Scope.NODE))
    assert load_balancing(distribution="PreferClose", annotations=node, namespace_annotations={}) == close
    assert load_balancing(annotations=node, namespace_annotations={}) == same_node
    assert load_balancing(annotations={}, namespace_annotations=node) == same_node
    nonsense = {DISTRIBUTION_ANNOTATION: "nonsense"}
    assert load_balancing(annotations=nonsense, namespace_annotations=node) == same_node


def test_any_switches_the_namespaces_off() -> None:
    found = load_balancing(
        annotations={DISTRIBUTION_ANNOTATION: "Any"}, namespace_annotations={DISTRIBUTION_ANNOTATION: "PreferClose"}
    )
    assert found == LoadBalancing()
