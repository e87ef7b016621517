"""Joining and leaving, against an agent that is a real gRPC server on a Unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidestep.local.agent_client import AgentClient, AgentRefusedError
from sidestep.local.enrolment import PodEnrolment
from sidestep.local.errors import UnavailableError
from sidestep.wire import agent


class FakeAgent:
    """Notes what it is asked, in order, together with the annotations."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "agent.sock"
        self.events: list[str] = []
        self.refuse = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = grpc.aio.server()
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Enrol": grpc.unary_unary_rpc_method_handler(
                self._enrol, agent.EnrolRequest.FromString, agent.EnrolResponse.SerializeToString
            ),
            "Withdraw": grpc.unary_unary_rpc_method_handler(
                self._withdraw, agent.WithdrawRequest.FromString, agent.WithdrawResponse.SerializeToString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("sidestep.agent.v1.Agent", handlers),))
        server.add_insecure_port(f"unix:{self.socket}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)

    async def annotate(self, enrolled: bool) -> None:
        self.events.append("annotated" if enrolled else "annotation gone")

    async def _enrol(self, request: agent.EnrolRequest, context: Any) -> agent.EnrolResponse:
        if self.refuse:
            self.refuse -= 1
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not yet")
        self.events.append(f"enrol {request.pod.uid}")
        return agent.EnrolResponse()

    async def _withdraw(self, request: agent.WithdrawRequest, _: object) -> agent.WithdrawResponse:
        self.events.append(f"withdraw {request.uid}{' gone' if request.gone else ''}")
        return agent.WithdrawResponse()


@asynccontextmanager
async def enrolment(fake: FakeAgent, problems: list[str] | None = None) -> AsyncIterator[PodEnrolment]:
    client = AgentClient(fake.socket, "node-1")
    report = (problems if problems is not None else []).append
    subject = PodEnrolment(client, agent.Pod(uid="u"), annotate=fake.annotate, report=report)
    task = asyncio.create_task(subject.run())
    try:
        yield subject
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await client.close()


async def settle(subject: PodEnrolment, *, enrolled: bool) -> None:
    subject.want(enrolled=enrolled)
    async with asyncio.timeout(5):
        await subject.settled()


async def test_join_and_leave_in_the_safe_order(tmp_path: Path) -> None:
    fake = FakeAgent(tmp_path)
    async with fake.running(), enrolment(fake) as subject:
        await settle(subject, enrolled=True)
        assert subject.enrolled
        await settle(subject, enrolled=False)
        assert not subject.enrolled
    assert fake.events == ["enrol u", "annotated", "annotation gone", "withdraw u"]


async def test_a_pod_that_was_never_in_the_mesh_is_no_business_of_the_agent(tmp_path: Path) -> None:
    fake = FakeAgent(tmp_path)
    async with fake.running(), enrolment(fake) as subject:
        await settle(subject, enrolled=False)
        await subject.farewell()
    assert fake.events == []


async def test_retries_until_the_agent_takes_it(tmp_path: Path) -> None:
    fake, problems = FakeAgent(tmp_path), list[str]()
    fake.refuse = 2
    async with fake.running(), enrolment(fake, problems) as subject:
        await settle(subject, enrolled=True)
    assert fake.events == ["enrol u", "annotated"]
    assert problems[:2] == ["the agent of node-1: not yet"] * 2


async def test_waits_for_an_agent_that_is_down(tmp_path: Path) -> None:
    fake = FakeAgent(tmp_path)
    async with enrolment(fake) as subject:
        subject.want(enrolled=True)
        await asyncio.sleep(0.2)
        assert not subject.enrolled
        async with fake.running(), asyncio.timeout(5):
            await subject.settled()
    assert fake.events == ["enrol u", "annotated"]


async def test_a_restarted_agent_is_told_again(tmp_path: Path) -> None:
    fake = FakeAgent(tmp_path)
    async with fake.running(), enrolment(fake) as subject:
        await settle(subject, enrolled=True)
        subject.agent_forgot()
        async with asyncio.timeout(5):
            while not subject.enrolled:  # noqa: ASYNC110 - a property, not an event
                await asyncio.sleep(0.01)
        await subject.farewell()
    assert fake.events == ["enrol u", "annotated", "enrol u", "annotated", "withdraw u gone"]


async def test_changing_the_mind_meanwhile(tmp_path: Path) -> None:
    fake = FakeAgent(tmp_path)
    async with fake.running(), enrolment(fake) as subject:
        subject.want(enrolled=True)
        await asyncio.sleep(0)
        await settle(subject, enrolled=False)
        assert not subject.enrolled
    assert fake.events in ([], ["enrol u", "annotated", "annotation gone", "withdraw u"])


async def test_errors_of_the_client(tmp_path: Path) -> None:
    fake = FakeAgent(tmp_path)
    client = AgentClient(fake.socket, "node-1")
    with pytest.raises(UnavailableError, match="agent of node-1 does not answer"):
        await client.status(timeout=0.2)
    await client.close()
    client = AgentClient(fake.socket, "node-1")
    fake.refuse = 1
    async with fake.running():
        with pytest.raises(AgentRefusedError, match="not yet"):
            await client.enrol(agent.Pod(uid="u"), timeout=5)
    await client.close()
