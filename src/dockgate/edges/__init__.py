"""The only I/O: Docker engines, load balancers, node containers, the host's files. Everything else is pure."""
