"""What a client does, step by step, without I/O, clock or randomness: shared by the two transports.

The steps of watches are those of ``clients/README.md``; ``retry`` also decides about calls that answer once.
"""
