"""The cluster's reconcilers as one process: one of several replicas leads, and only that one changes anything."""
