"""Connections that reach a pod of this node outside HBONE: captured plain text, and pods of the same node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidestep.envoy.config import ads_config_source, duration
from sidestep.mesh.model import Action
from sidestep.node.pods import Pod
from sidestep.node.settings import NodeSettings
from sidestep.node.translator import access_log, names
from sidestep.node.translator.inbound import policy_resource
from sidestep.node.translator.parts import (
    access_logs,
    both_families,
    dial_from,
    failure_logs,
    network_filter,
    original_destination,
    original_source,
    set_filter_state,
)
from sidestep.wire import envoy as pb


def plaintext_listener(settings: NodeSettings, pod: Pod) -> pb.Listener:
    """15006 in the pod's namespace: what arrives is not from the mesh, and policy says whether that is allowed."""
    address, additional = both_families(pod, names.PLAINTEXT_PORT)
    name = names.plaintext_listener(pod.uid)
    log = access_log.inbound_plain(settings, pod)
    return pb.Listener(
        name=name,
        address=address,
        additional_addresses=additional,
        listener_filters=[original_destination(), original_source()],
        filter_chains=[_to_application(pod, name, access_logs(settings, [log]))],
    )


def same_node_listener(settings: NodeSettings, pod: Pod) -> pb.Listener:
    """Internal: connections from pods of this node, whose identity their own listener has put into filter state."""
    name = names.same_node_listener(pod.uid)
    logs = (
        *access_logs(settings, [access_log.same_node(settings, pod)]),
        *failure_logs(settings, [access_log.failures(settings)]),
    )
    return pb.Listener(
        name=name,
        internal_listener=pb.Listener.InternalListenerConfig(),
        listener_filters=[original_destination(), original_source()],
        filter_chains=[_to_application(pod, name, logs)],
    )


def network_policies(listener: str, rules: dict[Action, pb.RBAC]) -> Iterable[pb.TypedExtensionConfig]:
    """The ECDS resources of such a listener. Without rules for an action its filter lets everything pass."""
    for action in Action:
        name = policy_resource(listener, action)
        filter_ = pb.NetworkRbacFilter(stat_prefix="policy", rules=rules.get(action))
        yield pb.TypedExtensionConfig(name=name, typed_config=pb.any_of(filter_))


def _to_application(pod: Pod, listener: str, logs: Sequence[pb.AccessLog]) -> pb.FilterChain:
    proxy = pb.TcpProxy(
        stat_prefix="inbound",
        cluster=names.APPLICATION_CLUSTER,
        access_log=logs,
        idle_timeout=duration(0),
    )
    return pb.FilterChain(
        filters=[
            *(_policy_filter(listener, action) for action in Action),
            set_filter_state(dial_from(pod)),
            network_filter("tcp-proxy", proxy),
        ]
    )


def _policy_filter(listener: str, action: Action) -> pb.Filter:
    discovery = pb.ExtensionConfigSource(
        config_source=ads_config_source(), type_urls=[pb.TYPE_PREFIX + pb.NetworkRbacFilter.DESCRIPTOR.full_name]
    )
    return pb.Filter(name=policy_resource(listener, action), config_discovery=discovery)
