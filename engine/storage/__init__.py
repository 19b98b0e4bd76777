"""Storage of facts: one small protocol, SQLite and PostgreSQL behind it."""
