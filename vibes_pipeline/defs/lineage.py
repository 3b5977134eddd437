"""Where each asset stands in the lineage: its group, its owners, and who makes it.

Here belongs what all assets are told alike, by their keys. The number before a group's name puts
the groups into the order of the flow, in the graph and in each list. The four outer groups are what
the graph shows first, so that their names can be read; each opens into its inner groups.
"""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.defs.slot_assets import BY_ITSELF, DELIVERING, OF_SLOT, job_name

ENGINEERS, FINANCE, OPERATIONS, POLICY = (
    f"team:{name}" for name in ("data-engineering", "finance", "operations", "policy")
)
# Whoever is on call starts jobs, and nothing else (see `dagster_host.webserver`).
ON_CALL = "team:on-call"
# Owners of jobs are new in Dagster, which warns of that at each load.
warnings.filterwarnings("ignore", "Parameter `owners`", dg.BetaWarning)

Asset = dg.AssetSpec | dg.AssetsDefinition


class Place(NamedTuple):
    group: str
    owners: tuple[str, ...]


# By the key of an asset, else by the first part of its key.
PLACES = {
    "raw": Place("1_facts/1_raw", (ENGINEERS,)),
    "claims": Place("1_facts/2_claims", (OPERATIONS,)),
    "ledger/history": Place("1_facts/3_history", (ENGINEERS,)),
    "warehouse": Place("1_facts/4_warehouse", (ENGINEERS,)),
    "events": Place("1_facts/5_events", (ENGINEERS,)),
    "metrics": Place("1_facts/6_metrics", (ENGINEERS,)),
    "ledger/past": Place("2_decisions", (ENGINEERS,)),
    "claims/held_counterfeit_cases": Place("2_decisions", (ENGINEERS, OPERATIONS)),
    "decisions": Place("2_decisions", (ENGINEERS, POLICY)),
    "ledger": Place("3_actions/1_ledger", (ENGINEERS,)),
    "enforcement": Place("3_actions/2_enforcement", (ENGINEERS,)),
    "late_orders": Place("3_actions/3_late_orders", (ENGINEERS, POLICY)),
    "notices": Place("3_actions/4_notices", (OPERATIONS,)),
    "finance": Place("4_outcomes/1_finance", (FINANCE,)),
    "claims/claims": Place("4_outcomes/2_claims", (OPERATIONS,)),
    "answers": Place("4_outcomes/3_answers", (OPERATIONS,)),
    "reports": Place("4_outcomes/4_reports", (OPERATIONS, POLICY)),
}
# A clause, as the texts cite it between their words: `(Rulebook §6, late data)`, `(§11)`.
CITED = re.compile(r"\s*\((?:Rulebook )?(§[^()]*)\)")


def in_the_flow(asset: Asset) -> Asset:
    """The asset with its group and owners, its clauses at the end, and the job that makes it."""
    return (
        asset.map_asset_specs(_placed) if isinstance(asset, dg.AssetsDefinition) else _placed(asset)
    )


def _placed(spec: dg.AssetSpec) -> dg.AssetSpec:
    name = spec.key.to_user_string()
    place = PLACES.get(name) or PLACES[spec.key.path[0]]
    return spec.replace_attributes(
        group_name=place.group,
        owners=[*place.owners, *([ON_CALL] if spec.key in BY_ITSELF else [])],
        description=f"{_with_clauses_last(spec.description or '')}\n\n{_made_by(spec.key)}",
    )


def _with_clauses_last(words: str) -> str:
    """The words as a newcomer reads them; the clauses that they rest on stand at the end."""
    clauses = "; ".join(dict.fromkeys(CITED.findall(words)))
    plain = CITED.sub("", words)
    return f"{plain}\n\nRulebook {clauses}." if clauses else plain


def _made_by(key: dg.AssetKey) -> str:
    """Who makes the asset, and what to start for it."""
    jobs = [job_name(slot) for slot in Slot if key in OF_SLOT[slot]]
    if key in DELIVERING:
        jobs = [DELIVERING[key]]
    if not jobs:
        return "Loaded by others; nothing here makes it."
    made = f"Made by the job{'s' if len(jobs) > 1 else ''} {', '.join(f'`{job}`' for job in jobs)}"
    if key in BY_ITSELF:
        return f"{made}; it may also be made by itself."
    return f"{made}, which does its slot as a whole: start the job, not the asset."
