"""The Kubernetes API, asked in its own JSON over the standard library's HTTP.

lightkube is for what is asked once: to import it takes longer than a call of a CNI plugin may, it has a timeout for
each packet and none for a call, and it runs no credentials plugins of client.authentication.k8s.io/v1.
"""
