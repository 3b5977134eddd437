"""The ledger in PostgreSQL: what was decided, promised, posted and sent (Rulebook §2, §12).

`database` finds or starts the server, `schema` names the tables and `views` the views, `migrations`
makes them and their guarantees, `states` and `notice_kinds` list the words that rows hold.
`proposals`, `implementation`, `late_orders`, `claims` and `notices` record what slots do; `history`
is what the rules need to know of the past, `feeds` what others read.
"""
