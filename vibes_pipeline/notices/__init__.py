"""Mails to sellers: what they say (content, compose) and how they travel (transports, outbox)."""
