"""etcd over its own gRPC API (version 3), through grpcio.

What PyPI has is asyncio only (which is for processes here), knows one endpoint only, or goes over the JSON gateway,
which takes no client certificates. What is needed of etcd is a range, a transaction and a stream.
"""
