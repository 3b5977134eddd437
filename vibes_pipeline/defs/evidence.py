"""How a failed check names its evidence: the first ids on one line, and how many more there are."""

import re
from collections.abc import Sequence

SHOWN = 10
LONGEST_ID = 40


def listed(ids: Sequence[str], count: int | None = None) -> str:
    """The first ids, plain: `S-1, S-2 and 12 more`; `count` is how many there are in all."""
    shown = [plain(i)[:LONGEST_ID] for i in ids[:SHOWN]]
    more = (len(ids) if count is None else count) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def plain(text: object) -> str:
    """Ids may be anybody's text: nothing in it may make a table, a link or markup."""
    return re.sub(r"[|<>\[\]()`*\\\r\n]", " ", str(text))
