"""Keeps one Envoy running: starts it, adopts one that runs already, restarts it after a crash, replaces it
without cutting a connection, and ends the replaced one when its last connection has ended.
"""

from __future__ import annotations

from sidestep.envoy.options import EnvoyOptions, EnvoyProcess, HandOver


class Supervisor:
    """Supervises the Envoy of `options.folder`.

    Envoy runs in a session of its own and outlives its supervisor: leaving `run` by cancellation leaves Envoy
    running, and the next supervisor of the same folder adopts it. `stop` ends it.
    """

    def __init__(self, options: EnvoyOptions) -> None:
        self._options = options

    async def run(self) -> None:
        """Adopt or start Envoy and supervise it until `stop`."""
        raise NotImplementedError

    async def ready(self) -> None:
        """Return once Envoy serves with its first configuration."""
        raise NotImplementedError

    async def restart(self) -> HandOver:
        """Start a new Envoy that takes over; raises `RestartRefusedError` or `RestartFailedError`."""
        raise NotImplementedError

    def processes(self) -> tuple[EnvoyProcess, ...]:
        """The living Envoys, the serving one first."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End all generations and remove what they left; `run` returns."""
        raise NotImplementedError
