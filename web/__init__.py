"""The status pages: what the node shows to people, and the lock in front of it."""
