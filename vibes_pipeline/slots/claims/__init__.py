"""Claims (Rulebook §11): taking them in, what an upheld one is about, and its effects at once.

`intake` judges a claim by the policy, `remedy` finds what it is about and cancels that, `recompute`
calculates a seller's regulations again, `settle` is the step that every slot begins with. What is
recorded is `ledger.claims`'.
"""
