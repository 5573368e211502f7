"""Mail servers: the protocol every kind speaks, the list of kinds, one folder or module per kind."""
