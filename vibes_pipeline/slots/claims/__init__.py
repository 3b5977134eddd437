"""Claims (Rulebook §11): taking them in, what an upheld claim is about, and its effects at once.

`intake` judges a claim by the policy, `remedy` finds what an upheld claim is about and cancels it,
`recompute` calculates a seller's regulations again, `settle` is the step with which every slot
begins. `ledger.claims` records all of it.
"""
