"""Protobuf messages: Envoy's API, Istio's WDS, authorization and CA APIs, and the agent's own.

The classes live in `sidestep.wire._pb`, which the build generates. Everything else in the project imports them by
the short names of `sidestep.wire.envoy`, `sidestep.wire.istio` and `sidestep.wire.agent`.
"""
