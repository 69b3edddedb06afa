"""The asyncio transport: the I/O of calls, watches and caches, each step as ``_steps`` decides."""
