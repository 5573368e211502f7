"""The log of who did what, its chain, its archive."""
