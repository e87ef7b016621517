"""Local state → Envoy configuration of the node proxy. Pure functions, one file a feature.

How a connection passes through (names of listeners and clusters in quotes):

    app → "outbound|<pod uid>" (15001 in the pod) → cluster "outbound|<address:port>", discovered on demand
        → a pod of another node:  internal listener "tunnel" → cluster "tunnel" (HBONE, mutual TLS)
                                  → "inbound|<pod uid>" (15008 in the other pod) → cluster "application"
        → a pod of this node:     internal listener "same-node|<pod uid>" → cluster "application"
        → not in the mesh:        plain TCP, dialled from inside the source pod
"""
