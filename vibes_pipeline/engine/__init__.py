"""Running the SQL models: metrics and decisions as immutable Parquet partitions.

`models` reads the files of `sql/`; `duckdb` runs one against the warehouse, the policy and the
partitions made before it. The engine knows nothing of slots, the ledger or Dagster.
"""
