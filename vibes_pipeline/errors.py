"""What goes wrong, in one line each: every error a user can meet is a `VibesError`.

The message names the thing and the way out; the command line prints it without a traceback and
exits with `exit_status`. Errors that are ours alone (bugs) are ordinary Python exceptions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches


class VibesError(Exception):
    """A failure a user can understand and mend; its text is one line."""

    exit_status = 1


class UsageError(VibesError):
    """The command itself was wrong: an unknown slot, a time that is none, a missing file."""

    exit_status = 2


class SettingsError(VibesError):
    """A setting names what cannot be used as such."""


class PolicyError(VibesError):
    """A policy file is unreadable or not strictly what the loader expects."""


class WarehouseError(VibesError):
    """The order warehouse is missing, busy, or not as the raw contract demands (Rulebook §13)."""


class StaleWarehouse(WarehouseError):
    """A table is not complete through the instant a slot needs; the slot is tried again."""


class TooManyBadRows(WarehouseError):
    """More than `bad_row_limit_pct` of the observed week's rows are bad (Rulebook §13)."""


class TooMuchMissingEvidence(WarehouseError):
    """So many rows that actions rest on are missing that the load must have failed (§2)."""


class BrokenGrain(VibesError):
    """A model made rows that are not what its file says one is; nothing may rest on them."""


class AuditFailed(VibesError):
    """What is to be frozen or implemented is not what it must be; nothing is done."""


class CalendarError(VibesError):
    """A date lies outside the years whose public holidays the policy lists (Rulebook §3)."""


class TimeZoneError(VibesError):
    """Python and an engine disagree on the policy's time zone, or one does not know it."""


class LedgerError(VibesError):
    """The ledger cannot be reached, or refuses what was asked of it."""


class MailError(VibesError):
    """The mail server cannot be reached or the transport is misconfigured."""


def first_line(error: object) -> str:
    """An error's own words as the cause in a line of ours: its first line, or the error's kind.

    Errors of others may go on for lines, with what they stumbled over.
    """
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def unknown(what: str, name: str, known: Collection[str]) -> UsageError:
    """For a name that is none of those known: says which was meant, if one is near, and all."""
    return UsageError(
        f"no {what} {name!r}{did_you_mean(near(name, known))}; the {what}s are {', '.join(known)}"
    )


def near(name: str, known: Collection[str]) -> list[str]:
    """The known names, at most two, of which a mistyped one is nearly one."""
    return get_close_matches(name.lower(), known, n=2)


def did_you_mean(meant: Sequence[str]) -> str:
    """What an error says of names that may be meant; nothing if there are none."""
    return f" (did you mean {' or '.join(meant)}?)" if meant else ""
