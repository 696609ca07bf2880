"""What we call: Azure, Kubernetes, etcd, container runtimes. Each client knows its protocol and nothing of claims."""
