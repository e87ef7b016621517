"""The embedded runtime: controller, node agents, Envoys and pods on this host, from a folder of YAML."""
