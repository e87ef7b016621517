"""`sidestep demo`: the sample shop on two nodes, and what the mesh does for it, shown and proved."""
