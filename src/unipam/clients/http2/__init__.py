"""HTTP/2 (RFC 9113) as a client of gRPC needs it, on a blocking socket: one request at a time on a connection.

grpcio takes longer to import than a whole call of a cold plugin may take, and 30 MB in an agent.
"""
