"""The VIBES programme as a pipeline: from raw order tables to the seller's inbox and finance's table."""
