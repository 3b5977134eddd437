"""The raw order warehouse: what it must look like, and how it is opened (Rulebook §13).

`contract` names tables, columns and types; `source` mounts them read-only from a DuckDB file
(`database_file`) or a folder of Parquet (`parquet_folder`); `freshness` tells up to when the tables
are complete; `file` writes a whole warehouse. The SQL in `sql/warehouse/` says which rows are good
or bad, and makes the as-of view.
"""
