"""The environment, read in one place; the variables are documented in the README.

Secrets (the passwords inside the two URLs) are kept out of every representation and error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vibes_pipeline.errors import SettingsError
from vibes_pipeline.memory import Memory

DUCKDB, SPARK_CONNECT = "duckdb", "sc"
MOST_MEMORY = "60%"
A_SIZE = re.compile(r"[1-9]\d*(\.\d+)?\s*([KMGT]i?B|%)", re.IGNORECASE)
# No relay allows one client more.
MOST_CONNECTIONS = 50
DEFAULT_SENDER = "VIBES <vibes@marketplace.example>"


@dataclass(frozen=True)
class Settings:
    """Where state lives, which warehouse, servers and policy to use; paths are absolute."""

    home: Path
    warehouse: Path
    postgres_url: str | None = field(repr=False)
    smtp_url: str | None = field(repr=False)
    mail_catcher_url: str | None = field(repr=False)
    sender: str
    operators: tuple[str, ...]
    country: str
    policy: Path | None
    # A server's URL may hold a token.
    engine: str = field(default=DUCKDB, repr=False)
    most_memory: str = MOST_MEMORY
    smtp_connections: int = 4
    smtp_rate: float | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read `VIBES_*`; an empty variable counts as unset.

        Raises `SettingsError` when the folder of state, or a folder above it, is a file, for a
        `VIBES_MEMORY` that is no size, a `VIBES_ENGINE` that is none, and a number that is none or
        out of range.
        """
        given = {k: v for k, v in (os.environ if environment is None else environment).items() if v}
        home = Path(given.get("VIBES_HOME", "var")).resolve()
        standing = next(place for place in (home, *home.parents) if place.exists())
        if not standing.is_dir():
            raise SettingsError(f"{standing} is a file; set VIBES_HOME to a folder for the state")
        policy = given.get("VIBES_POLICY")
        most_memory = given.get("VIBES_MEMORY", MOST_MEMORY)
        if not A_SIZE.fullmatch(most_memory):
            raise SettingsError(
                f"VIBES_MEMORY is {most_memory!r}; set it to a size such as 4GB, or to a part of "
                "the machine's memory such as 60%"
            )
        return cls(
            home=home,
            warehouse=Path(given.get("VIBES_WAREHOUSE", home / "warehouse.duckdb")).resolve(),
            postgres_url=given.get("VIBES_POSTGRES_URL"),
            smtp_url=given.get("VIBES_SMTP_URL"),
            mail_catcher_url=given.get("VIBES_MAIL_CATCHER_URL"),
            sender=given.get("VIBES_MAIL_FROM", DEFAULT_SENDER),
            operators=tuple(
                address.strip()
                for address in given.get("VIBES_OPERATORS", "").split(",")
                if address.strip()
            ),
            country=given.get("VIBES_COUNTRY", "ng").lower(),
            policy=Path(policy).resolve() if policy else None,
            engine=_engine(given.get("VIBES_ENGINE", DUCKDB)),
            most_memory=most_memory,
            smtp_connections=_connections(given.get("VIBES_SMTP_CONNECTIONS", "4")),
            smtp_rate=_rate(given.get("VIBES_SMTP_RATE")),
        )

    @property
    def lake(self) -> Path:
        """The folder of Parquet partitions."""
        return self.home / "lake"

    @property
    def memory(self) -> Memory:
        """What DuckDB may hold in memory; the rest goes to a folder of the home."""
        return Memory(self.most_memory, self.home / "spill")

    @property
    def reports(self) -> Path:
        """The folder of the weeks' reports, one folder per country."""
        return self.home / "reports"

    @property
    def maildir(self) -> Path:
        """Where mail goes without a mail server."""
        return self.home / "mail"

    def outbox_journal(self, country: str) -> Path:
        """What a country's outbox has sent and the ledger does not have yet."""
        return self.home / "outbox" / f"{country}.journal"

    @property
    def dagster_home(self) -> Path:
        """Dagster's home; its storage is the ledger's PostgreSQL."""
        return self.home / "dagster"

    @property
    def dagster_log(self) -> Path:
        """Dagster's messages about each step of the runs that `vibes up` starts."""
        return self.home / "log" / "dagster.log"


def _engine(text: str) -> str:
    """`duckdb`, or the URL of a Spark Connect server."""
    if text == DUCKDB:
        return text
    with suppress(ValueError):
        server = urlsplit(text)
        if server.scheme == SPARK_CONNECT and server.hostname and server.port != 0:
            return text
    raise SettingsError(
        "VIBES_ENGINE is duckdb, or a Spark Connect server such as sc://spark.example:15002; it is "
        "set to something else"
    )


def _connections(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_CONNECTIONS:
        raise SettingsError(
            f"VIBES_SMTP_CONNECTIONS is a whole number from 1 to {MOST_CONNECTIONS}, not {text!r}"
        )
    return int(text)


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) or float(text) == 0:
        raise SettingsError(
            f"VIBES_SMTP_RATE is how many mails a second may be sent, 20 or 0.5 say, not {text!r}"
        )
    return float(text)
