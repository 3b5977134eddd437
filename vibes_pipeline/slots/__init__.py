"""What a slot does, without Dagster: how it begins, its steps, their order, its claims.

`run` holds what the steps of a slot share. `order` says whether a slot may be begun, `catch_up`
which slots are missing. `weekly`, `late_orders`, `claims` and `mail` are the steps, `audits` and
`evidence` check what must hold before anything is done, and `steps` puts all of them in order.
"""
