"""Joining and leaving the mesh, one pod at a time, while it runs.

Joining: the node agent first captures and serves the pod's traffic, then the annotation tells everybody that it
takes HBONE. Leaving: the annotation goes first, then the capture. So at no moment does a peer send what the pod's
side would not take.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from sidestep.local.agent_client import AgentClient
from sidestep.local.backoff import Backoff
from sidestep.local.errors import LocalError
from sidestep.wire import agent

_FAREWELL_SECONDS = 5.0


class PodEnrolment:
    """Drives one pod to the wanted state; `run` it as a task."""

    def __init__(
        self,
        client: AgentClient,
        pod: agent.Pod,
        *,
        annotate: Callable[[bool], Awaitable[None]],
        report: Callable[[str], None],
    ) -> None:
        self._client = client
        self._pod = pod
        self._annotate = annotate
        self._report = report
        self._wanted: bool | None = None
        self._enrolled: bool | None = None
        self._told = False
        """An enrolment was asked for, even if it failed half-way, and not withdrawn since."""
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def enrolled(self) -> bool:
        return self._enrolled is True

    def want(self, *, enrolled: bool) -> None:
        """Change the aim; returns at once."""
        if enrolled != self._wanted:
            self._wanted = enrolled
            self._settled.clear()
            self._changed.set()

    def agent_forgot(self) -> None:
        """The agent was restarted: tell it again."""
        if self._enrolled:
            self._enrolled = None
            self._changed.set()

    async def settled(self) -> None:
        """Returns when the wanted state is reached."""
        await self._settled.wait()

    async def run(self) -> None:
        """For ever; the agent may come and go."""
        backoff = Backoff(first=0.05, maximum=1.0)
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._step()
            except LocalError as error:
                self._report(str(error))
                backoff = backoff.after_failure(0)
                await asyncio.sleep(backoff.seconds)
                self._changed.set()
            else:
                backoff = Backoff(first=0.05, maximum=1.0)

    async def farewell(self) -> None:
        """The pod is dead: the agent lets go of its namespace. Given up after a few seconds without an agent."""
        if not self._told:
            return
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while True:
            try:
                await self._client.withdraw(self._pod.uid, gone=True, timeout=_FAREWELL_SECONDS)
            except LocalError as error:
                if time.monotonic() > deadline:
                    self._report(str(error))
                    return
                await asyncio.sleep(0.1)
            else:
                return

    async def _step(self) -> None:
        wanted = self._wanted
        if wanted and self._enrolled is not True:
            self._told = True
            await self._client.enrol(self._pod)
            await self._annotate(True)
            self._enrolled = True
        elif wanted is False and self._enrolled is not False:
            if self._told:
                await self._annotate(False)
                await self._client.withdraw(self._pod.uid, gone=False)
                self._told = False
            self._enrolled = False
        self._report("")
        if wanted == self._wanted:
            self._settled.set()
        else:
            self._changed.set()
