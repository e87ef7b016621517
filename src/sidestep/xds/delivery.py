"""Hands a response to its handler so that one bad resource does not hold back the good ones."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from sidestep.xds.resource import Resource

_ATTEMPTS = 16

_log = structlog.get_logger(__name__)


class InvalidResource(Exception):  # noqa: N818 - says what the resource is
    """Raised by a handler: this resource cannot be used, its last good version stays in force; the rest is taken."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Handler(Protocol):
    """Takes over what the server says."""

    async def on_update(self, type_url: str, added: Sequence[Resource], removed: Sequence[str], first: bool) -> None:
        """New and changed resources, and names of those that are gone; both may be empty.

        `first`: the first one of this type in the client's life. When a handler raises `InvalidResource` it is called
        again with the response's other resources, so taking a resource over twice must do no harm.
        """


async def deliver(
    handler: Handler, type_url: str, added: Sequence[Resource], removed: Sequence[str], *, first: bool
) -> Mapping[str, str]:
    """Reasons by name of what the handler refused; all that has no reason has been taken over.

    An error of the handler that is not `InvalidResource` refuses everything, removals included (name "").
    """
    rejected: dict[str, str] = {}
    good = tuple(added)
    try:
        while len(rejected) < _ATTEMPTS:
            try:
                await handler.on_update(type_url, good, removed, first)
            except InvalidResource as error:
                if all(each.name != error.name for each in good):
                    raise
                rejected[error.name] = str(error)
                good = tuple(each for each in good if each.name != error.name)
            else:
                return rejected
        return rejected | await _one_by_one(handler, type_url, good, removed, first=first)
    except Exception as error:  # noqa: BLE001 - the stream goes on; the server hears of it
        # Without the values of local variables, which a log's own traceback may show: they may hold secrets.
        trace = "".join(traceback.format_exception(error))
        _log.error("xds.handler_failed", type=type_url.rpartition(".")[2], trace=trace)
        reason = f"the handler failed: {type(error).__name__}"
        return dict.fromkeys(("", *(each.name for each in added), *removed), reason) | rejected


async def _one_by_one(
    handler: Handler, type_url: str, resources: Sequence[Resource], removed: Sequence[str], *, first: bool
) -> dict[str, str]:
    """With many bad ones, leaving out one more each time would take for ever."""
    rejected = {}
    await handler.on_update(type_url, (), removed, first)
    for resource in resources:
        try:
            await handler.on_update(type_url, (resource,), (), False)
        except InvalidResource as error:
            rejected[resource.name] = str(error)
    return rejected
