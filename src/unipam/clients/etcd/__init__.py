"""etcd over its own gRPC API (version 3).

What PyPI has is asyncio only (which is for processes here), knows one endpoint only, goes over the JSON gateway, which
takes no client certificates, or over grpcio, whose import alone takes three times as long as a cold call may. What is
needed of etcd is a range, a transaction and a stream.
"""
