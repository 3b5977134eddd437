"""The raw order warehouse: what it must look like, and how it is opened (Rulebook §13).

`contract` names tables, columns and types; `source` mounts a DuckDB file or a folder of Parquet
read-only; `freshness` tells how far its tables are complete. What makes rows good or bad, and the
as-of view, are SQL: `sql/warehouse/`.
"""
