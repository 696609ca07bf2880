"""kubenet: a range of pod addresses for each node, and a route to it. Pure planners; spec/kubenet.md."""
