"""A person's decision on a claim or an account: read, tried, recorded in the ledger (Rulebook §11).

Here belongs what the commands and the Dagster job have in common. The database itself refuses what
nobody could have decided; the slot that applies a decision is `settle`'s.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from vibes_pipeline.clock import Clock
from vibes_pipeline.errors import UsageError, unknown
from vibes_pipeline.ledger import recorded
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.recorded import Decision
from vibes_pipeline.policy import Policy

ON_CLAIMS = ("upheld", "rejected")
ON_ACCOUNTS = ("delist", "keep")


def on_claim(claim_id: str, word: str, decided_by: str, note: str | None) -> Decision:
    """A decision on a claim; `UsageError` for a word that is none, or without a name."""
    return Decision(
        _word(word, ON_CLAIMS), _name(decided_by), _text("note", note), claim_id=claim_id
    )


def on_account(seller_id: str, word: str, decided_by: str, note: str | None) -> Decision:
    """A decision on an account that is listed for review; raises the same."""
    return Decision(
        _word(word, ON_ACCOUNTS), _name(decided_by), _text("note", note), seller_id=seller_id
    )


def require_possible(ledger: Ledger, policy: Policy, decision: Decision, clock: Clock) -> None:
    """`LedgerError` when the decision would be refused; nothing is recorded."""
    _record(ledger, policy, decision, clock, is_tried_only=True)


def record(ledger: Ledger, policy: Policy, decision: Decision, clock: Clock) -> datetime:
    """Record the decision; give its instant. Raises the same.

    On a live ledger the instant is the database's, on a simulated one the clock's.
    """
    return _record(ledger, policy, decision, clock, is_tried_only=False)


def _record(
    ledger: Ledger, policy: Policy, decision: Decision, clock: Clock, *, is_tried_only: bool
) -> datetime:
    at = None
    if clock.is_simulated or ledger.mode() is LedgerMode.SIMULATED:
        ledger.require_mode(is_simulated=clock.is_simulated)
        at = clock.now().astimezone(policy.time_zone)
        ledger.require_not_before(at)
    return recorded.record(ledger, decision, at, policy.time_zone, is_tried_only=is_tried_only)


def _word(word: str, known: Collection[str]) -> str:
    """The word without regard to case and surrounding blanks, as in the order warehouse."""
    read = word.strip().lower()
    if read not in known:
        raise unknown("decision", word, known)
    return read


def _name(decided_by: str) -> str:
    name = _text("name", decided_by)
    if name is None:
        raise UsageError("a decision bears the name of the person who made it: --by NAME")
    return name


def _text(what: str, text: str | None) -> str | None:
    """The text without surrounding blanks; None if nothing is left."""
    stripped = (text or "").strip()
    if not stripped.isprintable():
        raise UsageError(f"the {what} must be one line of text")
    return stripped or None
