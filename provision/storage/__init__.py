"""The database: tables, transactions, encryption at rest, search."""
