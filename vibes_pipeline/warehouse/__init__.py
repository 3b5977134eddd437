"""The raw order warehouse: what it must look like, and how it is opened (Rulebook §13).

`contract` names tables, columns and types; `source` mounts them read-only, out of a DuckDB file
(`database_file`) or a folder of Parquet (`parquet_folder`); `freshness` tells how far the tables
are complete; `file` writes a whole warehouse. What makes rows good or bad, and the as-of view, are
SQL: `sql/warehouse/`.
"""
