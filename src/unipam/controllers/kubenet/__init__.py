"""kubenet's two controllers in one: a range for every node, and a route to it in Azure."""
