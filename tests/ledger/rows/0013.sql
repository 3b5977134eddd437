-- What the late alert of Thursday said of a seller.
INSERT INTO ledger.standings (
    country, seller_id, as_of, week, shipped_items, shipped_orders, cancelled_items, cancellation_rate_pct, band,
    shipments_to_lighter_band, shipments_to_no_limit, cancellations_to_heavier_band, is_exempt, is_delisted
)
VALUES ('NG', 'S-1', '2026-11-26 06:00+01', '2026-11-23', 39, 36, 0, 0, 0, NULL, NULL, 1, false, false);
