"""The VIBES programme as a pipeline, from raw order tables to mails and finance's postings."""

import zoneinfo

# The pinned wheel `tzdata` alone: the files of the machine may be years older, and those of the
# next machine others. Whoever imports any part of us has it, the servers and their runs too.
zoneinfo.reset_tzpath(to=())
zoneinfo.ZoneInfo.clear_cache()
