"""The ledger in PostgreSQL: what was decided, promised, posted and sent (Rulebook §2, §12).

`database` finds or starts the server, `schema` names the tables, `migrations` makes them and their
guarantees, `ledger` holds the few write operations, `history` what the rules need to know of the
past, `views` what others read.
"""
