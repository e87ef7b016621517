"""The node's DNS server: answers pods for the names of the mesh, and forwards everything else.

A process of its own for each node. `resolve` and `answerer` are pure (names and bytes in, bytes out); `server` and
`forward` move bytes; `captures` puts them into each pod's network namespace; `runner` feeds them over xDS.
"""
