"""What a slot does, free of Dagster: one slot at one instant, its steps, its order, its claims.

`run` is a slot at its instant, `order` whether it may be begun, `catch_up` what is missing;
`weekly`, `late_orders`, `claims` and `mail` are the steps, `audits` and `evidence` what must hold
before anything is done, and `steps` puts them together.
"""
