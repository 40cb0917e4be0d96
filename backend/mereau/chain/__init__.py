"""The EVM side: client, orders, relayer, mirror, embedded node."""
