"""The VIBES programme as a pipeline, from raw order tables to mails and finance's postings."""
