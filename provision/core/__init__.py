"""Pure: what things are called, what is allowed, what two sides differ in. No database, no network."""
