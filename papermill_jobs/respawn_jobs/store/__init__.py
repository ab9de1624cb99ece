"""Where metadata is kept: SQLAlchemy tables on SQLite or PostgreSQL, with Alembic migrations."""
