"""Names and addresses as the warehouse has them, by id: read anew at each delivery.

So a mended address is used at once. Here belongs the reading, and that a warehouse which was not
loaded since the last delivery of this process is not read again.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.tables import policy_tables
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.contract import BOUNDS
from vibes_pipeline.warehouse.source import PATIENCE_SECONDS, Warehouse

DIRECTORY, PRODUCTS = "warehouse.directory", "warehouse.products"
# What is read of the warehouse to word a mail and to address it.
READ = (DIRECTORY, PRODUCTS)

# A larger directory is not kept: a process that runs for weeks would hold it in memory.
MOST_KEPT = 50_000


@dataclass(frozen=True)
class Directory:
    """Names and addresses as the warehouse has them now; seller text, hostile."""

    shop_names: Mapping[str, str]
    addresses: Mapping[str, str | None]
    product_names: Mapping[str, str | None]


_kept: dict[Hashable, Directory] = {}


def read_directory(
    policy: Policy, settings: Settings, patience_seconds: float = PATIENCE_SECONDS
) -> Directory:
    """Read the sellers and products of the warehouse as it is now.

    Raises `WarehouseError` when another process has held it for longer than the patience.
    """
    warehouse = Warehouse.of(settings, patience_seconds)
    version = warehouse.version()
    state = (policy, settings.warehouse, version)
    if version is not None and state in _kept:
        return _kept[state]
    directory = _read(warehouse, policy, settings)
    _kept.clear()
    if version is not None and len(directory.product_names) <= MOST_KEPT:
        _kept[state] = directory
    return directory


def _read(warehouse: Warehouse, policy: Policy, settings: Settings) -> Directory:
    engine = ScratchEngine(warehouse, settings.lake, policy.time_zone, policy_tables(policy))
    view = {"country": policy.country, **BOUNDS}
    for model in closure(READ):
        engine.materialize(model, view)
    sellers, products = engine.read(DIRECTORY), engine.read(PRODUCTS)
    return Directory(
        shop_names={s: n or s for s, n in sellers.select("seller_id", "shop_name").iter_rows()},
        addresses=dict(sellers.select("seller_id", "email").iter_rows()),
        product_names=dict(products.select("sku", "product_name").iter_rows()),
    )
