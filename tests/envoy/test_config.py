from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestep.envoy import config
from sidestep.wire import envoy as pb


@given(st.floats(min_value=0, max_value=1e6))
def test_duration_is_exact_to_the_nanosecond(seconds: float) -> None:
    duration = config.duration(seconds)
    assert 0 <= duration.nanos < 1_000_000_000
    assert abs(duration.seconds + duration.nanos / 1e9 - seconds) < 1e-9 * max(1.0, seconds)


def test_duration_carries_over_to_the_next_second() -> None:
    assert config.duration(1.9999999999) == pb.Duration(seconds=2)


def test_an_address_in_a_pod_names_its_namespace() -> None:
    address = config.in_pod("::", 15008, "/run/netns/a").socket_address
    assert (address.address, address.port_value) == ("::", 15008)
    assert address.network_namespace_filepath == "/run/netns/a"


def test_ads_waits_as_long_as_it_is_told() -> None:
    assert not config.ads_config_source().HasField("initial_fetch_timeout")
    forever = config.ads_config_source(initial_fetch_seconds=0)
    assert forever.HasField("initial_fetch_timeout")
    assert forever.initial_fetch_timeout == pb.Duration()
    assert forever.WhichOneof("config_source_specifier") == "ads"


def test_filter_state_is_set_only_from_a_value() -> None:
    value = config.filter_state(
        "key", "%REQ(a)%", factory=config.StateFactory.HASHABLE_STRING, shared=config.Sharing.ONCE
    )
    assert value.skip_if_empty
    assert value.factory_key == "envoy.hashable_string"
    assert value.shared_with_upstream == pb.FilterStateValue.ONCE
    assert value.format_string.text_format_source.inline_string == "%REQ(a)%"


def test_a_literal_survives_a_format_string() -> None:
    assert config.literal("100%") == "100%%"


def test_every_socket_of_a_bind_config_is_marked() -> None:
    bind = config.bind_config(0x539)
    (extra,) = bind.extra_source_addresses
    for (option,) in (bind.socket_options, extra.socket_options.socket_options):
        assert (option.level, option.name, option.int_value) == (1, 36, 0x539)
        assert option.state == pb.SocketOption.STATE_PREBIND
    assert {bind.source_address.address, extra.address.address} == {"0.0.0.0", "::"}


def test_tls_is_1_3_at_both_ends() -> None:
    parameters = config.tls_parameters()
    assert parameters.tls_minimum_protocol_version == pb.TlsParameters.TLSv1_3
    assert parameters.tls_maximum_protocol_version == pb.TlsParameters.TLSv1_3


def test_equal_messages_pack_into_equal_bytes() -> None:
    first, second = (pb.Metadata() for _ in range(2))
    first.filter_metadata["a"].update({"x": 1})
    first.filter_metadata["b"].update({"y": 2})
    second.filter_metadata["b"].update({"y": 2})
    second.filter_metadata["a"].update({"x": 1})
    assert config.typed("n", first).SerializeToString() == config.typed("n", second).SerializeToString()
