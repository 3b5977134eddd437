"""How long a test waits for what another process or thread does, before it says that it never came.

Nothing is measured by it: a machine at work may be slow, and a test that passes never waits so long.
"""

from __future__ import annotations

PATIENCE_SECONDS = 120.0
