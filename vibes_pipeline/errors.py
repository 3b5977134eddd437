"""Errors of one line: every error that a user can meet is a `VibesError`.

The message names the thing and the way out; the command line prints it without a traceback and
exits with `exit_status`. Our own bugs are ordinary Python exceptions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches


class VibesError(Exception):
    """A failure a user can understand and mend; its text is one line."""

    exit_status = 1


class UsageError(VibesError):
    """The command itself was wrong: an unknown slot, a text that is no time, a missing file."""

    exit_status = 2


class SettingsError(VibesError):
    """A setting's value cannot be used, such as a file where a folder is needed."""


class PolicyError(VibesError):
    """A policy file is unreadable or not strictly what the loader expects."""


class WarehouseError(VibesError):
    """The order warehouse is missing, busy, or not as the raw contract demands (Rulebook §13)."""


class BusyWarehouse(WarehouseError):
    """Another process writes into the warehouse; it is read once that is done."""


class StaleWarehouse(WarehouseError):
    """A table is not complete through the instant a slot needs; the slot is tried again."""


class TooManyBadRows(WarehouseError):
    """More than `bad_row_limit_pct` of the observed week's rows are bad (Rulebook §13)."""


class TooMuchMissingEvidence(WarehouseError):
    """So many rows with the evidence of charges are missing that the load must have failed (§2)."""


class BrokenGrain(VibesError):
    """A model's rows are not what its SQL file says that a row is; nothing may be built on them."""


class AuditFailed(VibesError):
    """Actions to be frozen or implemented do not pass an audit; nothing is done."""


class CalendarError(VibesError):
    """A date lies outside the years whose public holidays the policy lists (Rulebook §3)."""


class TimeZoneError(VibesError):
    """Python and an engine disagree on the policy's time zone, or one does not know it."""


class EngineError(VibesError):
    """The server that `VIBES_ENGINE` names cannot be reached, is unfit, or refuses a query."""


class LedgerError(VibesError):
    """The ledger cannot be reached, or refuses what was asked of it."""


class MailError(VibesError):
    """The mail server cannot be reached or the transport is misconfigured."""


def first_line(error: object) -> str:
    """The first line of an error's text, for our own line to name as the cause; else its class.

    Errors of other packages may have many lines, and hold the data that caused them.
    """
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def unknown(what: str, name: str, known: Collection[str]) -> UsageError:
    """The error for an unknown name: it suggests known names that are near, and lists them all."""
    return UsageError(
        f"no {what} {name!r}{did_you_mean(near(name, known))}; the {what}s are {', '.join(known)}"
    )


def near(name: str, known: Collection[str]) -> list[str]:
    """The known names, at most two, that a mistyped name is close to."""
    return get_close_matches(name.lower(), known, n=2)


def did_you_mean(meant: Sequence[str]) -> str:
    """The part of an error that suggests names, such as ` (did you mean x?)`; empty without any."""
    return f" (did you mean {' or '.join(meant)}?)" if meant else ""
