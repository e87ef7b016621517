"""Meshes of any size for micro-benchmarks. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from sidestep.api.kubernetes.namespace import Namespace
from sidestep.api.kubernetes.pod import Pod
from sidestep.api.kubernetes.service import Service
from sidestep.api.meta import Resource
from sidestep.api.resources import Resources

_FIRST_POD = ipaddress.IPv4Address("10.16.0.0")
_FIRST_SERVICE = ipaddress.IPv4Address("10.96.0.0")
SERVICE_PORT = 80


def resources(*, pods: int, services: int) -> Resources:
    """Pods spread evenly over services, ten services a namespace, all enrolled and ready."""
    return Resources.of(_resources(pods, services))


def service_address(number: int) -> str:
    """The virtual address of a service."""
    return str(_FIRST_SERVICE + number + 1)


def _resources(pods: int, services: int) -> Iterator[Resource]:
    for number in range((services + 9) // 10):
        yield msgspec.convert({"metadata": {"name": f"ns-{number}"}}, Namespace)
    yield from (_service(number) for number in range(services))
    yield from (_pod(number, number % services) for number in range(pods))


def _service(number: int) -> Service:
    document = {
        "metadata": {"name": f"service-{number}", "namespace": f"ns-{number // 10}"},
        "spec": {
            "selector": {"app": f"app-{number}"},
            "clusterIP": service_address(number),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": 8080}],
        },
    }
    return msgspec.convert(document, Service)


def _pod(number: int, service: int) -> Pod:
    address = str(_FIRST_POD + number + 1)
    document = {
        "metadata": {
            "name": f"pod-{number}",
            "namespace": f"ns-{service // 10}",
            "uid": f"uid-{number}",
            "labels": {"app": f"app-{service}", "version": f"v{number % 3}"},
            "annotations": {"ambient.istio.io/redirection": "enabled"},
        },
        "spec": {
            "nodeName": f"node-{number % 100}",
            "serviceAccountName": f"account-{service}",
            "containers": [{"name": "main", "image": "any"}],
        },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    return msgspec.convert(document, Pod)
