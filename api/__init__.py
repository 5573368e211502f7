"""The REST API, for other programs: what a person can do on a page, a program can do with a token."""
