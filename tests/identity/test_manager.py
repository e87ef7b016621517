import asyncio
import contextlib
import datetime as dt
import heapq
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from sidestep.identity.authority import Authority
from sidestep.identity.certificate import WorkloadCertificate
from sidestep.identity.errors import ForgottenError, SigningRefusedError
from sidestep.identity.manager import CertificateManager
from sidestep.identity.spiffe import SpiffeId

WEB = SpiffeId.workload("cluster.local", "shop", "web")
LIFETIME = dt.timedelta(hours=24)


class VirtualClock:
    """Time that moves only when `advance` says so."""

    def __init__(self) -> None:
        self._now = dt.datetime.now(dt.UTC)
        self._sleepers: list[tuple[dt.datetime, int, asyncio.Event]] = []
        self._count = 0

    def now(self) -> dt.datetime:
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        over = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + dt.timedelta(seconds=seconds), self._count, over))
        tasks = [asyncio.ensure_future(each.wait()) for each in (event, over)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def advance(self, seconds: float) -> None:
        end = self._now + dt.timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, over = heapq.heappop(self._sleepers)
            over.set()
            await asyncio.sleep(0.01)
        self._now = end


class FakeAuthority:
    """Signs with a real authority on virtual time; refuses while `refusing`."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        self.authority = Authority.load_or_create(folder, "cluster.local")
        self.clock = clock
        self.refusing = False
        self.asked: list[dt.datetime] = []
        self.together = 0
        self.most_together = 0

    async def sign(self, identity: SpiffeId, csr_pem: str) -> Sequence[str]:
        self.asked.append(self.clock.now())
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        if self.refusing:
            raise SigningRefusedError("no such workload on this node")
        return self.authority.sign(csr_pem, identity, LIFETIME, now=self.clock.now())


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def fake(tmp_path: Path, clock: VirtualClock) -> FakeAuthority:
    return FakeAuthority(tmp_path, clock)


@contextlib.asynccontextmanager
async def running(fake: FakeAuthority) -> AsyncIterator[CertificateManager]:
    manager = CertificateManager(fake.sign, clock=fake.clock, jitter=lambda: 0.5)
    task = asyncio.create_task(manager.run())
    try:
        yield manager
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_gives_a_certificate_and_tells_listeners(fake: FakeAuthority) -> None:
    async with running(fake) as manager:
        seen: list[WorkloadCertificate] = []
        manager.on_certificate(seen.append)
        certificate = await manager.wait(WEB)
        assert certificate.identity == WEB
        assert seen == [certificate]
        assert manager.get(WEB) is certificate
        assert "PRIVATE" in certificate.private_key_pem
        assert "PRIVATE" not in repr(certificate)


async def test_renews_at_half_life_with_a_new_key(fake: FakeAuthority, clock: VirtualClock) -> None:
    async with running(fake) as manager:
        first = await manager.wait(WEB)
        await asyncio.sleep(0.01)
        await clock.advance(LIFETIME.total_seconds() * 0.49)
        assert manager.get(WEB) is first
        await clock.advance(LIFETIME.total_seconds() * 0.02)
        await asyncio.sleep(0.02)
        second = manager.get(WEB)
        assert second is not None
        assert second.serial != first.serial
        assert second.private_key_pem != first.private_key_pem


async def test_keeps_the_old_one_while_the_authority_refuses_then_drops_it(
    fake: FakeAuthority, clock: VirtualClock
) -> None:
    async with running(fake) as manager:
        first = await manager.wait(WEB)
        await asyncio.sleep(0.01)
        fake.refusing = True
        await clock.advance(LIFETIME.total_seconds() / 2 + 60)
        assert manager.get(WEB) is first
        assert manager.failures()[WEB].reason == "no such workload on this node"
        clock._now = first.not_after
        assert manager.get(WEB) is None


async def test_a_refusal_is_repeated_quickly_then_slowly(fake: FakeAuthority, clock: VirtualClock) -> None:
    fake.refusing = True
    async with running(fake) as manager:
        manager.want(WEB)
        await asyncio.sleep(0.02)
        await clock.advance(120)
        pauses = [(b - a).total_seconds() for a, b in zip(fake.asked, fake.asked[1:], strict=False)]
        assert pauses[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
        assert max(pauses) == pytest.approx(30.0)
        fake.refusing = False
        manager.retry()
        async with asyncio.timeout(5):
            await manager.wait(WEB)
        assert not manager.failures()


async def test_at_most_eight_at_a_time(fake: FakeAuthority) -> None:
    async with running(fake) as manager:
        identities = [SpiffeId.workload("cluster.local", "shop", f"sa-{number}") for number in range(40)]
        async with asyncio.timeout(10):
            await asyncio.gather(*(manager.wait(identity) for identity in identities))
        assert len(manager.certificates()) == 40
        assert len(fake.asked) == 40
        assert 2 <= fake.most_together <= 8


async def test_forget_drops_key_and_releases_who_waits(fake: FakeAuthority) -> None:
    fake.refusing = True
    async with running(fake) as manager:
        waiting = asyncio.create_task(manager.wait(WEB))
        await asyncio.sleep(0.02)
        manager.forget(WEB)
        with pytest.raises(ForgottenError):
            await waiting
        assert manager.get(WEB) is None
        assert not manager.certificates()
        fake.refusing = False
        assert (await manager.wait(WEB)).identity == WEB
