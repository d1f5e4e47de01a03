"""The database: engine, schema, entries, views, row cache, migrations; SQLite and PostgreSQL."""
