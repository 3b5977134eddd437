"""Answers: why an action was or was not taken, where a seller stands, what a draft would change.

Here belong Rulebook §14 to §16. Nothing here writes to a ledger that is anybody's.
"""
