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

from vibes_pipeline.errors import SettingsError, UsageError
from vibes_pipeline.memory import Memory

DUCKDB, SPARK_CONNECT = "duckdb", "sc"
CATALOG = "spark:"
A_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# A catalog, a schema in it, perhaps schemas between them.
A_SCHEMA = re.compile(r"[^\s.`:/]+(\.[^\s.`:/]+)+")
MOST_MEMORY = "60%"
A_SIZE = re.compile(r"[1-9]\d*(\.\d+)?\s*([KMGT]i?B|%)", re.IGNORECASE)
# No relay allows one client more.
MOST_CONNECTIONS = 50
DEFAULT_SENDER = "VIBES <vibes@marketplace.example>"


@dataclass(frozen=True)
class Lakehouse:
    """A warehouse that a Spark Connect server reads: a schema of its catalog, or a URL of Parquet.

    `place` is `catalog.schema`, or the URL of the folder that holds a file or folder per table.
    """

    place: str
    # A server's URL may hold a token.
    server: str = field(repr=False)

    @property
    def is_catalog(self) -> bool:
        """Whether the tables are a catalog's."""
        return not A_URL.match(self.place)

    def __str__(self) -> str:
        return CATALOG + self.place if self.is_catalog else self.place


@dataclass(frozen=True)
class Settings:
    """Where state lives, which warehouse, servers and policy to use; paths are absolute."""

    home: Path
    warehouse: Path | Lakehouse
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
        `VIBES_MEMORY` that is no size, a `VIBES_ENGINE` that is none, a `VIBES_WAREHOUSE` that only
        a server reads without such an engine, and a number that is none or out of range.
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
        engine = _engine(given.get("VIBES_ENGINE", DUCKDB))
        warehouse = given.get("VIBES_WAREHOUSE", str(home / "warehouse.duckdb"))
        return cls(
            home=home,
            warehouse=_warehouse(warehouse, engine),
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
            engine=engine,
            most_memory=most_memory,
            smtp_connections=_connections(given.get("VIBES_SMTP_CONNECTIONS", "4")),
            smtp_rate=_rate(given.get("VIBES_SMTP_RATE")),
        )

    @property
    def made_warehouse(self) -> Path:
        """Where a warehouse may be made; `UsageError` for one that is only read."""
        if isinstance(self.warehouse, Lakehouse):
            raise UsageError(
                f"VIBES_WAREHOUSE is {self.warehouse}, which is only read, never written; name a "
                "DuckDB file or a folder for the marketplace that is to be made"
            )
        return self.warehouse

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


def _warehouse(text: str, engine: str) -> Path | Lakehouse:
    """A file or folder, or what the engine's server reads."""
    is_catalog = text.startswith(CATALOG)
    if not is_catalog and not A_URL.match(text):
        return Path(text).resolve()
    if engine == DUCKDB:
        raise SettingsError(
            "VIBES_WAREHOUSE names what only a Spark Connect server reads; set VIBES_ENGINE to "
            "one, such as sc://spark.example:15002, or VIBES_WAREHOUSE to a DuckDB file or a "
            "folder of Parquet"
        )
    place = text.removeprefix(CATALOG) if is_catalog else text.rstrip("/")
    if is_catalog and not A_SCHEMA.fullmatch(place):
        raise SettingsError(
            f"VIBES_WAREHOUSE is {text!r}; name a catalog and a schema, such as spark:lake.orders"
        )
    if not is_catalog and urlsplit(text).password:
        raise SettingsError(
            "VIBES_WAREHOUSE holds a password; leave it out: the server has its own credentials"
        )
    return Lakehouse(place, engine)


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
