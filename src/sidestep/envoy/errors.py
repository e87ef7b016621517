"""What can go wrong with an Envoy process."""

from __future__ import annotations


class EnvoyError(Exception):
    """Root of this package's errors."""


class EnvoyNotFoundError(EnvoyError):
    """There is no Envoy binary that runs here."""


class InvalidBootstrapError(EnvoyError):
    """Envoy refuses the bootstrap; the message is its own."""


class AdminError(EnvoyError):
    """The admin interface did not answer, or answered with an error."""


class RestartRefusedError(EnvoyError):
    """A hand-over cannot begin; the running Envoy goes on."""


class RestartFailedError(EnvoyError):
    """A new Envoy did not take over; the message says which one serves now."""
