"""One asset per SQL model: its file's words as description, its rows as metadata."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.slot_assets import HISTORY, PAST, RAW_GATE, asset_key
from vibes_pipeline.engine.models import Model, sources
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.errors import BrokenGrain
from vibes_pipeline.interrupts import interrupts_held
from vibes_pipeline.ledger import history
from vibes_pipeline.listing import plain
from vibes_pipeline.policy import Policy
from vibes_pipeline.rules import Rule
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.run import SlotRun

SAMPLE_ROWS = 5
GRAIN = "keeps_its_grain"
# A policy may have rates for thousands of single products.
POLICY_ROWS = 50
# Who somebody is, and how to reach them, never enters metadata or logs.
PERSONAL = frozenset({"shop_name", "email", "customer_id", "customer_hash", "stored_row"})


def model_assets(
    location: CodeLocation, stage: str, gates: Mapping[str, Collection[str]] | None = None
) -> list[dg.AssetsDefinition]:
    """The assets of a stage's models; `gates` names, by model, further assets to wait for."""
    return [
        _model_asset(location, model, (gates or {}).get(model.relation, ()))
        for model in weekly_models()
        if model.stage == stage
    ]


def read_by(
    relations: Iterable[str],
    made: Collection[str] = (),
    stand_ins: Mapping[str, str] = MappingProxyType({}),
) -> set[dg.AssetKey]:
    """The assets that SQL reads to make relations: raw tables, and what other steps have `made`."""
    return {
        asset_key(relation)
        for relation in sources(relations, made, stand_ins)
        if not relation.startswith(("policy.", "ledger."))
    }


def read_in_weekly_alert(relations: Iterable[str]) -> set[dg.AssetKey]:
    """The same in the weekly alert, which makes each model once and takes the history once."""
    made = {weekly.PROPOSAL, *(model.relation for model in weekly_models())}
    found = sources(relations, made)
    keys = read_by(relations, made)
    if any(relation.startswith("raw.") for relation in found):
        keys.add(RAW_GATE)
    from_ledger = {r.removeprefix("ledger.") for r in found if r.startswith("ledger.")}
    if from_ledger & history.PAST:
        keys.add(PAST)
    if from_ledger - history.PAST:
        keys.add(HISTORY)
    return keys


def _model_asset(
    location: CodeLocation, model: Model, gates: Collection[str]
) -> dg.AssetsDefinition:
    deps = read_in_weekly_alert(model.depends_on) | {asset_key(gate) for gate in gates}
    if weekly.FIRST_CYCLE in model.parameters:
        deps.add(HISTORY)

    @dg.asset(
        key=asset_key(model.relation),
        deps=sorted(deps),
        kinds={location.weekly_kind, "parquet"},
        description=_description(location, model),
        partitions_def=location.weekly,
        code_version=hashlib.sha256(model.sql.encode()).hexdigest()[:12],
        metadata=kept_in(model.relation),
        check_specs=_grain_checks(model),
    )
    def materialized(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
        with interrupts_held():
            try:
                frame = weekly.compute(run, vibes.ledger, model)
            except BrokenGrain as broken:
                yield dg.AssetCheckResult(
                    check_name=GRAIN, passed=False, description=plain(str(broken))
                )
                raise
            metadata = {
                **run.engine.ran,
                **frame_metadata(run.policy, frame, model),
                **policy_in_force(run, model),
                **written(run, model.relation),
            }
        yield dg.MaterializeResult(
            metadata=metadata,
            check_results=[
                dg.AssetCheckResult(check_name=spec.name, passed=True)
                for spec in _grain_checks(model)
            ],
        )

    return materialized


def _grain_checks(model: Model) -> list[dg.AssetCheckSpec]:
    """The check that the model's rows are what its file says one is, if it says that."""
    if not model.grain.can_be_broken:
        return []
    return [
        dg.AssetCheckSpec(
            GRAIN,
            asset=asset_key(model.relation),
            blocking=True,
            description=(
                f"A row is what its file says, {model.grain}: unique and never null. Blocks: "
                "nothing is made of rows that break it."
                if model.grain.columns
                else "The model gives exactly one row. Blocks: nothing is made of more or none."
            ),
        )
    ]


def kept_in(relation: str) -> dict[str, str]:
    """The relation that holds an asset's rows, and how to look at it."""
    return {
        "dagster/relation_identifier": relation,
        "look_at_it": f'vibes sql "FROM {relation} LIMIT 100"',
    }


def written(run: SlotRun, relation: str) -> dict[str, dg.MetadataValue]:
    """The file of a slot's partition."""
    return {"parquet": dg.MetadataValue.path(run.engine.partition(relation))}


def outcome_metadata(run: SlotRun, relation: str, looked_up: pl.DataFrame) -> dict[str, Any]:
    """What became of the actions that were looked up: how many of each outcome, and a sample."""
    by_outcome = dict(looked_up.group_by("outcome").len().sort("outcome").iter_rows())
    return {**frame_metadata(run.policy, looked_up), **by_outcome, **written(run, relation)}


def policy_in_force(run: SlotRun, model: Model) -> dict[str, dg.MetadataValue]:
    """The numbers and codes that the model reads of the run's policy, as of the run's period.

    What it reads through a relation that no partition keeps is among them.
    """
    kept = [other.relation for other in weekly_models()]
    tables = {
        relation: run.engine.policy[relation.removeprefix("policy.")]
        for relation in sorted(sources(model.depends_on, kept))
        if relation.startswith("policy.")
    }
    period = pl.lit(run.period)
    in_force = pl.col("valid_from").le(period) & pl.col("valid_until").gt(period)
    values = {
        relation: [
            {name: v if v is None or isinstance(v, int) else str(v) for name, v in row.items()}
            for row in table.filter(in_force).head(POLICY_ROWS).iter_rows(named=True)
        ]
        for relation, table in tables.items()
        if "valid_from" in table.columns
    }
    return {"policy_in_force": dg.MetadataValue.json(values)} if values else {}


def frame_metadata(
    policy: Policy, frame: pl.DataFrame | pl.LazyFrame, model: Model | None = None
) -> dict[str, Any]:
    """Row count, naira, a sample without personal data, columns, the version of the run's policy.

    Of a lazy frame no more is read than that.
    """
    rows = frame.lazy()
    schema = rows.collect_schema()
    metadata: dict[str, Any] = {
        "dagster/row_count": rows.select(pl.len()).collect().item(),
        "policy_version": policy.short_version,
        "sample": dg.MetadataValue.md(_sample(rows)),
    }
    if "amount" in schema:
        total = rows.select(pl.col("amount").sum()).collect().item() or Decimal("0.00")
        metadata["total"] = policy.money(total)
        # A float only for the plot; the exact figure stands beside it.
        metadata["total_ngn"] = float(total)
    if model is not None:
        metadata["dagster/column_schema"] = _column_schema(schema, model)
    return metadata


def _sample(rows: pl.LazyFrame) -> str:
    """The first rows as a Markdown table; ids only, nothing personal."""
    columns = [c for c in rows.collect_schema() if c not in PERSONAL]
    shown = rows.select(columns).head(SAMPLE_ROWS).collect()
    if shown.is_empty():
        return "no rows"
    lines = [
        "| " + " | ".join(shown.columns) + " |",
        "|" + " --- |" * shown.width,
        *("| " + " | ".join(map(_cell, row)) + " |" for row in shown.iter_rows()),
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return plain(value)


def _description(location: CodeLocation, model: Model) -> str:
    rule = model.name.removesuffix("s")
    if model.stage != "decisions" or rule not in set(Rule):
        return model.description
    return f"{model.description}\n\n{location.quoted(location.policy.rules[Rule(rule)].words)}"


def _column_schema(schema: pl.Schema, model: Model) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=str(type_), description=model.columns.get(name))
            for name, type_ in schema.items()
        ]
    )
