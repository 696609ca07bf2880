"""unipam: one register for every address of Kubernetes on Azure, from the enterprise plan down to the pod."""
