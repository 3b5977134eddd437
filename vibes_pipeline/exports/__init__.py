"""Tables that others pull: read from the ledger or the lake, written as CSV, Parquet or XLSX.

`tables` says what each table holds, `files` how one is written so that a spreadsheet can open it
safely. Nothing here changes anything.
"""
