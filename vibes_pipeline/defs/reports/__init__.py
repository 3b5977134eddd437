"""Dagster assets of the reports that people read."""
