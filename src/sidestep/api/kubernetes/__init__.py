"""Resources of Kubernetes: the fields that a mesh or a runtime of pods uses."""
