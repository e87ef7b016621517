"""ServiceAccount (v1)."""

from __future__ import annotations

from typing import ClassVar

from sidestep.api.meta import Resource


class ServiceAccount(Resource, frozen=True, kw_only=True):
    """Names an identity; nothing beside its key matters here."""

    KIND: ClassVar[str] = "ServiceAccount"
    API_VERSION: ClassVar[str] = "v1"
