-- loads: every table is complete through the end of the span. Grain: one table.
INSERT INTO raw.loads BY NAME
SELECT
    tables.name AS table_name,
    make_timestamptz((getvariable('start_epoch') + $span_seconds)::BIGINT * 1000000)
        AS loaded_through
FROM (
    VALUES ('sellers'), ('products'), ('order_items'), ('dropoff_qc'),
        ('counterfeit_cases'), ('claims'), ('account_decisions')
) AS tables (name)
