"""The VIBES programme as a pipeline, from raw order tables to mails and finance's postings."""

import zoneinfo

# Use only the pinned wheel `tzdata`: a machine's own files may be years older and differ from the
# next machine's. Every import of the package sets this, also in the servers and their runs.
zoneinfo.reset_tzpath(to=())
zoneinfo.ZoneInfo.clear_cache()
