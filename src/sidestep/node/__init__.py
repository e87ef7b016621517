"""The node agent: enrols the node's pods, holds their keys, and configures the node's Envoy, the node proxy."""
