"""Where Calico keeps its documents: etcd or the Kubernetes API, behind one compare-and-swap interface (`api`)."""
