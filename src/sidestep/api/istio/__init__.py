"""Resources of Istio, every field of their specs."""
