"""Alembic's scripts; `Database.prepare` runs them."""
