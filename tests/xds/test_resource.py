from tests.xds.support import STRUCT, number

from sidestep.wire import envoy as pb
from sidestep.xds.resource import Resource


def test_equal_messages_have_equal_versions() -> None:
    first = Resource.of("a", pb.Node(metadata={"x": 1, "y": 2, "z": 3}))
    second = Resource.of("a", pb.Node(metadata={"z": 3, "y": 2, "x": 1}))
    assert first == second
    assert first.version == second.version


def test_body_and_aliases_make_the_version() -> None:
    versions = {number("a", 1).version, number("a", 2).version, number("a", 1, ["b"]).version}
    assert len(versions) == 3


def test_representation_shows_no_content() -> None:
    secret = Resource.of("spiffe://x", pb.DataSource(inline_string="PRIVATE KEY"))
    assert "PRIVATE" not in repr(secret)
    assert "PRIVATE" not in f"{secret} {[secret]}"
    assert "spiffe://x" in repr(secret)
    assert secret.version in repr(secret)
    assert f"{len(secret.body)} bytes" in repr(secret)


def test_entry_is_part_of_a_response() -> None:
    resource = number("a", 7, ["b"])
    response = pb.DeltaDiscoveryResponse.FromString(resource.entry + number("c", 8).entry)
    assert [each.name for each in response.resources] == ["a", "c"]
    assert response.resources[0].resource.type_url == STRUCT
    assert Resource.from_wire(response.resources[0], "") == resource
