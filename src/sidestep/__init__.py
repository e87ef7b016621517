"""A service mesh without sidecars: Istio ambient mode in Python, on an unmodified Envoy."""

__version__ = "0.1.0"
