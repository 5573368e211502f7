"""From wanted to delivered: read → plan → apply → record."""
