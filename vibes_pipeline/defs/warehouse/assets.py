"""The raw tables as they lie in the warehouse, and what passes the contract as of the slot."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.code_location import CodeLocation
from vibes_pipeline.defs.resources import Vibes
from vibes_pipeline.defs.severity import ASKS_FOR_A_PERSON, INFORMS
from vibes_pipeline.defs.slot_assets import CLAIMS_STEP, RAW_GATE, asset_key
from vibes_pipeline.defs.sql_assets import model_assets
from vibes_pipeline.errors import StaleWarehouse, TooManyBadRows
from vibes_pipeline.listing import first, shown
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.freshness import require_fresh
from vibes_pipeline.warehouse import freshness
from vibes_pipeline.warehouse.contract import LOADS, MEANINGS, RAW_TABLES

# What each table holds, for those who do not know it.
ABOUT = {
    "sellers": "The shops: name, address, country, since when they sell",
    "products": "What the shops sell",
    "order_items": (
        "Every unit that was ordered, and when it was shipped, delivered, cancelled, refused or "
        "returned"
    ),
    "dropoff_qc": "Quality checks of items that sellers drop off",
    "counterfeit_cases": "Items that are suspected, or proven, to be counterfeit",
    "claims": "What sellers object to, and what people decided about it",
    "account_decisions": "People's decisions to delist a seller's account or to keep it",
    "loads": "Up to when each table is complete",
}

raw_tables = [
    dg.AssetSpec(
        key=["raw", table.name],
        kinds={"duckdb"},
        description=(
            f"{ABOUT[table.name]}. The order warehouse's table `raw.{table.name}`, only read here"
            f"{'; it may be absent and is then empty' if table.is_optional else ''} (Rulebook §13)."
        ),
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(name, type_, description=MEANINGS[name])
                    for name, type_ in table.columns.items()
                ]
            )
        },
    )
    for table in (*RAW_TABLES.values(), LOADS)
]


def assets(location: CodeLocation) -> list[dg.AssetSpec | dg.AssetsDefinition]:
    """The raw tables, the gate before them, and what the models make of them."""
    # Bad rows are kept first, then judged, and only then is anything made of the good ones.
    gates = {
        "warehouse.bad_row_share": ["warehouse.quarantine"],
        "warehouse.order_items": ["warehouse.bad_row_share"],
    }
    return [*raw_tables, _loads(location), *model_assets(location, "warehouse", gates)]


def _loads(location: CodeLocation) -> dg.AssetsDefinition:
    @dg.asset(
        key=RAW_GATE,
        deps=[CLAIMS_STEP, ["raw", "loads"]],
        kinds={"duckdb"},
        partitions_def=location.weekly,
        description=(
            "Up to when each raw table is complete. The weekly alert needs every table complete "
            "through the observed week's end; otherwise it stops here, before anything is done, "
            "and is tried again (Rulebook §13, freshness). Reading it checks the raw contract too: "
            "a missing table or column or a wrong type is an error that names it."
        ),
        check_specs=[
            dg.AssetCheckSpec(
                "is_complete_through_the_observed_week",
                asset=RAW_GATE,
                blocking=True,
                description=(
                    "Every raw table is complete through the observed week's end. Blocks: until "
                    "then nothing is decided."
                ),
            ),
            dg.AssetCheckSpec(
                "freshness_is_known",
                asset=RAW_GATE,
                description=(
                    "For information: the warehouse has raw.loads; without it nobody knows how "
                    "fresh it is."
                ),
            ),
        ],
    )
    def loads(
        context: dg.AssetExecutionContext, vibes: Vibes
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        """The gate of everything that reads the warehouse."""
        run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
        loaded = freshness.loaded_through(run.engine.warehouse)
        is_known = loaded is not None
        try:
            require_fresh(run)
        except StaleWarehouse as stale:
            yield dg.AssetCheckResult(
                check_name="is_complete_through_the_observed_week",
                passed=False,
                description=str(stale),
            )
            yield dg.AssetCheckResult(check_name="freshness_is_known", passed=True)
            raise
        yield dg.MaterializeResult(
            metadata={
                name: "no entry"
                if at is None
                else f"{at.astimezone(run.policy.time_zone):%Y-%m-%d %H:%M}"
                for name, at in (loaded or {}).items()
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="is_complete_through_the_observed_week", passed=True
                ),
                dg.AssetCheckResult(
                    check_name="freshness_is_known",
                    passed=is_known,
                    severity=INFORMS,
                    description=None
                    if is_known
                    else "The warehouse has no table raw.loads: let the loader write it.",
                ),
            ],
        )

    return loads


@dg.asset_check(
    asset=asset_key("warehouse.bad_row_share"),
    blocking=True,
    description=(
        "Of the observed week's order items no more are bad than the policy's limit. Blocks: until "
        "the warehouse is mended nothing is decided."
    ),
)
def bad_rows_are_few(context: dg.AssetCheckExecutionContext, vibes: Vibes) -> dg.AssetCheckResult:
    """Blocks the working set, and with it every decision."""
    run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
    rows, bad = weekly.bad_row_share(run)
    try:
        weekly.require_few_bad_rows(run)
    except TooManyBadRows as too_many:
        return dg.AssetCheckResult(
            passed=False, description=str(too_many), metadata={"rows": rows, "bad_rows": bad}
        )
    return dg.AssetCheckResult(passed=True, metadata={"rows": rows, "bad_rows": bad})


@dg.asset_check(
    asset=asset_key("warehouse.quarantine"),
    description=(
        "For a person: no row had to be set aside; those that were are shown with their reason. "
        "They enter no rule and stop no other."
    ),
)
def nothing_is_set_aside(
    context: dg.AssetCheckExecutionContext, vibes: Vibes
) -> dg.AssetCheckResult:
    """Asks for a person; gives the ids of the rows."""
    run = vibes.slot_run(Slot.WEEKLY_ALERT, context)
    bad = run.engine.read("warehouse.quarantine")
    ids = [shown(i) for i in bad["row_id"].head(20)]
    by_reason = bad.group_by("table_name", "faults").agg(pl.len()).sort("len", descending=True)
    return dg.AssetCheckResult(
        passed=bad.is_empty(),
        severity=ASKS_FOR_A_PERSON,
        metadata={
            "rows_set_aside": bad.height,
            "by_reason": {f"{t}: {f}": n for t, f, n in by_reason.head(20).iter_rows()},
            "first_ids": ids,
        },
        description=None
        if bad.is_empty()
        else f"{bad.height:,} rows are set aside ({first(ids, bad.height)}): `vibes export "
        "quarantine` lists them all with their reasons; mend them in the warehouse.",
    )
