"""What the people who run the programme are told: what waits, what was done (Rulebook §17).

How others are told, in a mail or on a page, is theirs. None of this changes anything.
"""
