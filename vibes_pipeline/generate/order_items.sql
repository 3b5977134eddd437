-- order_items: the made order items numbered $from_item to $to_item (half-open), oldest first.
-- Grain: one item. Inside, a time is the number of seconds since the span's first Monday 00:00,
-- by the shop's clock; `seen` turns it into an instant, or into null beyond the span's end.
INSERT INTO raw.order_items BY NAME
WITH numbered AS (
    -- An order is its first item's number; every fourth item starts one, so none holds more.
    SELECT
        i,
        CASE
            WHEN i % 4 = 0 OR u(i, 'next item') >= $next_item THEN i
            WHEN i % 4 = 1 OR u(i - 1, 'next item') >= $next_item THEN i - 1
            WHEN i % 4 = 2 OR u(i - 2, 'next item') >= $next_item THEN i - 2
            ELSE i - 3
        END AS first_item
    FROM (SELECT $from_item + number AS i FROM numbers WHERE number < $to_item - $from_item)
),
dated AS (
    SELECT
        *,
        first_item * $all_weeks // $items AS week_index,
        first_item * $all_weeks % $items * 100 // $items AS weekday_slot
    FROM numbered
),
placed AS (
    SELECT
        i,
        first_item,
        week_index,
        least(
            week_index * 604800
            + $weekday_of_slot[weekday_slot + 1] * 86400
            + $hour_of_slot[1 + floor(u(first_item, 'hour') * 100)::BIGINT] * 3600
            + floor(u(first_item, 'second') * 3600)::BIGINT,
            $span_seconds - 1
        ) AS pending,
        u(CASE WHEN u(i, 'other seller') < $other_seller THEN i ELSE first_item END, 'seller')
            ** $seller_skew AS seller_point
    FROM dated
),
assigned AS (
    SELECT
        p.*,
        floor(p.seller_point * $sellers)::BIGINT
            - CASE WHEN n.opens_week > p.week_index THEN 1 ELSE 0 END AS rank
    FROM placed AS p
    LEFT JOIN newcomers AS n ON n.rank = floor(p.seller_point * $sellers)::BIGINT
),
chosen AS (
    SELECT
        a.*,
        s.seller_id,
        s.out_of_stock,
        s.late,
        s.slow_to_ship,
        s.first_product + floor(s.products * u(a.i, 'product') ** $product_skew)::BIGINT
            AS product_index
    FROM assigned AS a
    JOIN made_sellers AS s USING (rank)
),
drawn AS (
    -- What chance decides of an item, before anything happens to it.
    SELECT
        c.i,
        c.first_item,
        c.pending,
        c.seller_id,
        p.sku,
        p.rejection,
        p.quality_return,
        greatest(
            round(p.list_price * (1 - $deepest_discount * u(c.i, 'discount')) / 10) * 10,
            $lowest_price
        )::DECIMAL(14, 2) AS item_price,
        p.commission_share,
        CASE
            WHEN u(c.i, 'cancelled') < c.out_of_stock THEN 'out_of_stock'
            WHEN u(c.i, 'cancelled') - c.out_of_stock < $customer_request THEN 'customer_request'
            WHEN u(c.i, 'cancelled') - c.out_of_stock
                < $customer_request + $payment_failed THEN 'payment_failed'
            WHEN u(c.i, 'cancelled') - c.out_of_stock
                < $customer_request + $payment_failed + $wrong_order THEN 'wrong_order'
            WHEN u(c.i, 'cancelled') - c.out_of_stock
                < $customer_request + $payment_failed + $wrong_order + $other_cancellation
                THEN 'other'
        END AS own_reason,
        a_day_after(c.pending) AS ready_by,
        handling($ready_median_hours, c.i, 'ready') AS ready_seconds,
        handling($ship_median_hours, c.i, 'ship') AS ship_seconds,
        CASE WHEN u(c.i, 'late') < c.late THEN lateness(u(c.i, 'how late'))
            ELSE 'prompt' END AS ready_fate,
        CASE WHEN u(c.i, 'slow') < c.slow_to_ship THEN lateness(u(c.i, 'how slow'))
            ELSE 'prompt' END AS ship_fate
    FROM chosen AS c
    JOIN made_products AS p USING (product_index)
),
with_ready AS (
    SELECT
        *,
        CASE own_reason
            WHEN 'out_of_stock' THEN at_work(
                pending + CASE
                    WHEN u(i, 'admitted late') < $late_out_of_stock
                        THEN floor(u(i, 'own') * $late_out_of_stock_days * 86400)::BIGINT
                    ELSE 1800 + floor(u(i, 'own') * $out_of_stock_hours * 3600)::BIGINT
                END
            )
            WHEN 'customer_request'
                THEN pending + floor(u(i, 'own') * $customer_request_hours * 3600)::BIGINT
            ELSE CASE WHEN own_reason IS NOT NULL
                THEN pending + floor(u(i, 'own') * $early_cancellation_hours * 3600)::BIGINT END
        END AS own_cancelled,
        CASE WHEN own_reason IS DISTINCT FROM 'out_of_stock' THEN done(
            pending, ready_by, ready_fate, ready_seconds, u(i, 'ready late')
        ) END AS ready,
        CASE WHEN ready_fate = 'cancelled' AND own_reason IS DISTINCT FROM 'out_of_stock'
            THEN cancelled_by_system(ready_by, u(i, 'night')) END AS late_pending
    FROM drawn
),
with_ship_by AS (
    SELECT *, a_day_after(ready) AS ship_by FROM with_ready
),
with_shipped AS (
    SELECT
        *,
        done(ready, ship_by, ship_fate, ship_seconds, u(i, 'ship late')) AS shipped,
        CASE WHEN ship_fate = 'cancelled'
            THEN cancelled_by_system(ship_by, u(i, 'night')) END AS late_ready
    FROM with_ship_by
),
settled AS (
    -- The earliest cancellation is the one that happened, and nothing happens after it; nobody
    -- cancels what is on its way.
    SELECT
        * EXCLUDE (own_cancelled, ready, shipped),
        least(CASE WHEN own_cancelled < coalesce(shipped, own_cancelled + 1) THEN own_cancelled END,
            late_pending, late_ready) AS cancelled,
        CASE WHEN ready < coalesce(own_cancelled, ready + 1) OR shipped <= own_cancelled
            THEN ready END AS ready,
        CASE WHEN shipped <= coalesce(own_cancelled, shipped) THEN shipped END AS shipped
    FROM with_shipped
),
with_arrived AS (
    SELECT
        *,
        CASE
            WHEN cancelled = late_pending THEN 'late_pending'
            WHEN cancelled = late_ready THEN 'late_ready_to_ship'
            WHEN cancelled IS NOT NULL THEN own_reason
        END AS cancel_reason,
        CASE WHEN u(i, 'lost') >= $lost THEN by_day(
            shipped + between_days(u(i, 'delivery'), $delivery_from_days, $delivery_to_days)
        ) END AS arrived,
        u(i, 'rejected') < rejection AS is_rejected
    FROM settled
),
with_returned AS (
    SELECT
        *,
        CASE WHEN NOT is_rejected AND u(i, 'returned') < quality_return + $other_return
            THEN by_day(
                arrived + between_days(u(i, 'return'), $return_from_days, $return_to_days)
            ) END AS returned,
        CASE
            WHEN u(i, 'returned') >= quality_return
                THEN CASE WHEN u(i, 'why') < 0.8 THEN 'change_of_mind' ELSE 'other' END
            WHEN u(i, 'why') < $wrong_item THEN 'wrong_item'
            WHEN u(i, 'why') < $wrong_item + $defective_item THEN 'defective_item'
            ELSE 'used_refurbished'
        END AS return_reason,
        -- One row in so many is torn in one of fourteen ways (but none whose tear is yet to come).
        CASE WHEN i % $items_per_bad_row = $items_per_bad_row - 1
                AND pending < $span_seconds - 259200
            THEN i // $items_per_bad_row % 14 END AS tear
    FROM with_arrived
)
SELECT
    CASE WHEN tear = 0 THEN NULL
        ELSE 'I' || (100000000 + i - CASE WHEN tear = 1 THEN 1 ELSE 0 END) END AS order_item_id,
    (300000000 + first_item)::VARCHAR AS order_number,
    CASE WHEN tear = 2 THEN 'S-UNKNOWN' ELSE seller_id END AS seller_id,
    CASE tear WHEN 3 THEN 'SKU-UNKNOWN' WHEN 9 THEN $foreign_sku ELSE sku END AS sku,
    'C' || floor(u(first_item, 'customer') * $customers)::BIGINT AS customer_id,
    CASE tear WHEN 7 THEN NULL WHEN 8 THEN -item_price ELSE item_price END AS item_price,
    CASE tear
        WHEN 5 THEN NULL
        WHEN 6 THEN -1
        ELSE round(item_price * commission_share, 2)
    END::DECIMAL(14, 2) AS commission,
    CASE WHEN ready < $span_seconds
        THEN 'T' || (300000000 + first_item) || '-' || (i - first_item + 1)
    END AS tracking_number,
    CASE WHEN tear IS DISTINCT FROM 4 THEN seen(pending) END AS pending_at,
    seen(CASE WHEN tear = 10 THEN pending - 3600 ELSE ready END) AS ready_to_ship_at,
    seen(shipped) AS shipped_at,
    seen(CASE
        WHEN tear = 11 THEN pending + 86400
        WHEN NOT is_rejected THEN arrived
    END) AS delivered_at,
    seen(CASE WHEN tear = 12 THEN pending + 7200 ELSE cancelled END) AS cancelled_at,
    CASE WHEN cancelled < $span_seconds AND tear IS DISTINCT FROM 12 THEN cancel_reason END
        AS cancel_reason,
    seen(CASE WHEN tear = 11 THEN pending + 86400 WHEN is_rejected THEN arrived END)
        AS rejected_at,
    seen(CASE WHEN tear = 13 THEN pending + 259200 ELSE returned END) AS returned_at,
    CASE WHEN tear = 13 THEN 'mislaid' WHEN returned < $span_seconds THEN return_reason END
        AS return_reason
FROM with_returned
