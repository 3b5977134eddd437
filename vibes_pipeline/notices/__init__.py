"""Mails to sellers: what they say, and how they travel.

`content` says what a notice is made of, `programme` what mails say of the policy, `sections` how
actions are listed, `cleaning` what makes a seller's text harmless, `wording` what templates may
call; `message` builds the mail of all that. `delivery` puts the `outbox` together, which sends over
`transports`.
"""
