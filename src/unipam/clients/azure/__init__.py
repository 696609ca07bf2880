"""Azure as a source: sign in, ask Resource Manager and Resource Graph, and make one snapshot of the answers."""
