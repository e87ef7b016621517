import msgspec

from sidestep.controller.publish import changes, publish
from sidestep.mesh.model import Action, Mesh, NetworkAddress, Policy, PolicyScope, Service, Workload
from sidestep.mesh.wds import decode_address
from sidestep.wire import istio
from sidestep.xds.cache import Cache, Change

WEB = Workload(uid="Kubernetes//Pod/shop/web", name="web", namespace="shop", addresses=("10.244.0.5",))
DB = Workload(uid="Kubernetes//Pod/shop/db", name="db", namespace="shop", addresses=("10.244.0.6",))
SERVICE = Service(
    name="web",
    namespace="shop",
    hostname="web.shop.svc.cluster.local",
    addresses=(NetworkAddress(address="10.96.0.10"),),
)
POLICY = Policy(name="deny", namespace="shop", scope=PolicyScope.NAMESPACE, action=Action.DENY)
MESH = Mesh(workloads={WEB.uid: WEB, DB.uid: DB}, services={SERVICE.key: SERVICE}, policies={POLICY.key: POLICY})


def test_all_of_a_new_mesh_policies_first() -> None:
    cache = Cache()
    seen: list[Change] = []
    cache.watch(seen.append)
    assert publish(cache, changes(Mesh(), MESH)) == 4
    assert [each.type_url for each in seen if each.touched] == [istio.AUTHORIZATION, istio.ADDRESS]
    assert cache.complete(istio.ADDRESS)
    assert cache.complete(istio.AUTHORIZATION)
    found = cache.get(istio.ADDRESS, WEB.uid)
    assert found is not None
    assert decode_address(found.body) == WEB
    assert cache.get(istio.ADDRESS, "/10.96.0.10") is cache.get(istio.ADDRESS, SERVICE.key)


def test_only_what_changed() -> None:
    moved = msgspec.structs.replace(WEB, healthy=False)
    new = Mesh(workloads={WEB.uid: moved}, services=MESH.services, policies={})
    policies, addresses = changes(MESH, new)
    assert (policies.changed, policies.removed) == ((), (POLICY.key,))
    assert [each.name for each in addresses.changed] == [WEB.uid]
    assert addresses.removed == (DB.uid,)


def test_an_equal_mesh_wakes_nobody() -> None:
    cache = Cache()
    publish(cache, changes(Mesh(), MESH))
    seen: list[Change] = []
    cache.watch(seen.append)
    again = msgspec.structs.replace(MESH, workloads={DB.uid: DB, WEB.uid: msgspec.structs.replace(WEB)})
    assert publish(cache, changes(MESH, again)) == 0
    assert seen == []


def test_an_empty_mesh_is_complete() -> None:
    cache = Cache()
    assert publish(cache, changes(Mesh(), Mesh())) == 0
    assert cache.complete(istio.ADDRESS)
