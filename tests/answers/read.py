"""What the slow evaluator reads: a folder of raw tables, and a ledger's exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.exports.tables import Source, read_table
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.warehouse.contract import RAW_TABLES


@dataclass(frozen=True)
class Exported:
    """What the ledger exports: actions, claims and postings, and when each cycle was frozen."""

    actions: Sequence[Mapping[str, Any]]
    claims: Sequence[Mapping[str, Any]]
    charges: Sequence[Mapping[str, Any]]
    cycles: Mapping[date, datetime]


def raw_tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of a warehouse, a folder of Parquet; an absent table is empty."""
    files = {name: folder / f"{name}.parquet" for name in RAW_TABLES}
    return {
        name: pl.read_parquet(file).select(*RAW_TABLES[name].columns).rows(named=True)
        if file.exists()
        else []
        for name, file in files.items()
    }


def exported(ledger: Ledger, policy: Policy, lake: Path) -> Exported:
    """What `vibes export` gives of a ledger, and its frozen cycles."""
    source = Source(ledger, lake, policy.time_zone)
    with ledger.reading() as connection:
        cycles = connection.execute(sa.select(schema.cycles.c.cycle, schema.cycles.c.frozen_at))
        frozen: dict[date, datetime] = {row[0]: row[1] for row in cycles}
    actions, claims, charges = (
        read_table(name, source).rows(named=True) for name in ("actions", "claims", "charges")
    )
    return Exported(actions, claims, charges, frozen)
