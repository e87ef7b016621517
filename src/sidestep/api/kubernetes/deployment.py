"""Deployment (apps/v1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from sidestep.api import validate
from sidestep.api.kubernetes.pod import PodSpec, spec_findings
from sidestep.api.meta import Finding, LabelSelector, Model, ObjectMeta, Path, Resource

_AMOUNT = re.compile(r"[0-9]{1,9}%")


class RollingUpdate(Model, frozen=True, kw_only=True):
    """Pods more and pods fewer than `replicas` while old ones are replaced: a number or a percentage."""

    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class Strategy(Model, frozen=True, kw_only=True):
    """How old pods are replaced."""

    type: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    rolling_update: RollingUpdate = RollingUpdate()


class PodTemplate(Model, frozen=True, kw_only=True):
    """The pods to make."""

    spec: PodSpec
    metadata: ObjectMeta = ObjectMeta()


class DeploymentSpec(Model, frozen=True, kw_only=True):
    """How many pods of what."""

    selector: LabelSelector
    template: PodTemplate
    replicas: int = 1
    strategy: Strategy = Strategy()
    min_ready_seconds: int = 0


class Deployment(Resource, frozen=True, kw_only=True):
    """A number of equal pods, kept alive and replaced when the template changes."""

    KIND: ClassVar[str] = "Deployment"
    API_VERSION: ClassVar[str] = "apps/v1"

    spec: DeploymentSpec

    def value_findings(self) -> Iterator[Finding]:
        spec = self.spec
        for field, value in (("replicas", spec.replicas), ("minReadySeconds", spec.min_ready_seconds)):
            if value < 0:
                yield Finding(("spec", field), f"expected an integer of at least 0, got {value}")
        yield from _selector_findings(spec)
        template = ("spec", "template")
        yield from validate.labels(spec.template.metadata.labels, (*template, "metadata", "labels"))
        yield from validate.annotation_values(
            spec.template.metadata.annotations, (*template, "metadata", "annotations")
        )
        yield from spec_findings(spec.template.spec, (*template, "spec"))
        rolling = spec.strategy.rolling_update
        for field, amount in (("maxSurge", rolling.max_surge), ("maxUnavailable", rolling.max_unavailable)):
            yield from _amount_findings(amount, ("spec", "strategy", "rollingUpdate", field))


def _selector_findings(spec: DeploymentSpec) -> Iterator[Finding]:
    path = ("spec", "selector", "matchLabels")
    yield from validate.labels(spec.selector.match_labels, path)
    for key, value in spec.selector.match_labels.items():
        if spec.template.metadata.labels.get(key) != value:
            yield Finding((*path, key), f"the template's pods have no label {key}: {value}; add it to their labels")


def _amount_findings(value: int | str, path: Path) -> Iterator[Finding]:
    right = value >= 0 if isinstance(value, int) else _AMOUNT.fullmatch(value)
    if not right:
        yield Finding(path, f"expected a number of at least 0 or a percentage such as 25%, got {validate.shown(value)}")
