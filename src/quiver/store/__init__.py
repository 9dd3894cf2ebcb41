"""The key database: one interface, SQLite behind it."""
