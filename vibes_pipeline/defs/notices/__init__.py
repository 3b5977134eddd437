"""The mails to sellers: alerts before, mails after an implementation, and about claims."""
