"""Saturday's job writes the week's report, and tells Dagster where it is and what it says."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from ledger import made
from rules.marketplace import Marketplace

from vibes_pipeline.calendar import Slot
from vibes_pipeline.dagster_host import in_process
from vibes_pipeline.ledger.ledger import Ledger


@pytest.fixture
def implemented(
    ledger: Ledger, ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, dg.MetadataValue]:
    """The report's metadata after an implementation of one charge."""
    raw = Marketplace()
    raw.seller(seller_id="S-1")
    raw.product("S-1", sku="SKU-I1")
    old = {"pending_at": "Mon-2 09:00", "ready_to_ship_at": "Mon-2 10:00"}
    back = {"returned_at": "Wed 10:30", "return_reason": "defective_item"}
    raw.item({**old, **back, "seller_id": "S-1", "sku": "SKU-I1", "order_item_id": "I1"})
    monkeypatch.setenv("VIBES_HOME", str(tmp_path))
    monkeypatch.setenv("VIBES_WAREHOUSE", str(raw.write(tmp_path / "raw")))
    monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))
    made.freeze_cycle(ledger, [made.charge("S-1", "I1")])
    made.accept(ledger)
    ledger.record_finished(Slot.WEEKLY_ALERT, made.CYCLE, made.ALERT_AT)
    with dg.DagsterInstance.ephemeral() as instance:
        in_process.run_slot(Slot.WEEKLY_IMPLEMENTATION, made.CYCLE, instance, at=made.IMPLEMENT_AT)
        event = instance.get_latest_materialization_event(dg.AssetKey(["reports", "week"]))
    assert event is not None
    assert event.asset_materialization is not None
    return dict(event.asset_materialization.metadata)


def test_the_report_is_written_and_dagster_is_told_its_place_and_figures(
    implemented: dict[str, dg.MetadataValue], tmp_path: Path
) -> None:
    page = tmp_path / "reports" / "NG" / f"{made.CYCLE}.html"
    assert implemented["page"] == dg.MetadataValue.url(f"/reports/NG/{made.CYCLE}.html")
    assert implemented["file"] == dg.MetadataValue.path(page)
    told = {name: implemented[name].value for name in implemented if name not in ("page", "file")}
    assert told == {
        "actions_decided": 1,
        "actions_implemented": 1,
        "charged": "₦3,000.00",
        "charged_ngn": 3000.0,
        "reversed": "₦0.00",
        "notices_not_delivered": 0,
        "account_reviews": 0,
        "awaiting_evidence": 0,
    }
    assert "₦3,000.00" in page.read_text(encoding="utf-8")
    assert "Sat 21 Nov 2026, 09:00" in page.read_text(encoding="utf-8")
