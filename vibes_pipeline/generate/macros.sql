-- macros: chance and the shop's clock, for the other files of this folder. The
-- variables that they read are set before.

-- A number in [0, 1), the same for the same seed, key and word; independent between words.
CREATE TEMP MACRO u(key, word) AS
    (hash(key, word, getvariable('seed')) >> 11)::DOUBLE / 9007199254740992;

-- The instant of a time, or null beyond the end of the span.
CREATE TEMP MACRO seen(t) AS
    CASE WHEN t < getvariable('span_seconds')
        THEN make_timestamptz((getvariable('start_epoch') + t)::BIGINT * 1000000) END;

-- 0 is Monday, 6 Sunday.
CREATE TEMP MACRO weekday(t) AS t // 86400 % 7;

-- At night nobody works: what falls there is done in the hour after opening.
CREATE TEMP MACRO by_day(t) AS
    CASE WHEN t % 86400 < getvariable('opening_hour') * 3600
        THEN t - t % 86400 + getvariable('opening_hour') * 3600
            + t % 86400 // getvariable('opening_hour')
        ELSE t END;

-- Nor on Sunday: the same time on Monday.
CREATE TEMP MACRO at_work(t) AS
    by_day(t) + CASE WHEN weekday(by_day(t)) = 6 THEN 86400 ELSE 0 END;

-- When a shop that takes a day for each step, Sundays apart, is through with one begun at t.
CREATE TEMP MACRO a_day_after(t) AS
    CASE weekday(t)
        WHEN 5 THEN t + 172800
        WHEN 6 THEN (t // 86400 + 2) * 86400
        ELSE t + 86400
    END;

-- The next nightly cancelling hour at or after t.
CREATE TEMP MACRO night_after(t) AS
    t - t % 86400 + getvariable('cancelling_hour') * 3600
        + CASE WHEN t % 86400 > getvariable('cancelling_hour') * 3600 THEN 86400 ELSE 0 END;

-- When the order system cancels what was due at a time and not done.
CREATE TEMP MACRO cancelled_by_system(due, point) AS
    night_after(due) + 60 + floor(point * getvariable('cancelling_minutes') * 60)::BIGINT;

-- Seconds of handling: log-normal about a middle of so many hours.
CREATE TEMP MACRO handling(median_hours, key, word) AS
    floor(least(
        median_hours * exp(
            getvariable('handling_sigma')
            * sqrt(-2 * ln(1 - u(key, word))) * cos(2 * pi() * u(key, word || ' angle'))
        ),
        getvariable('handling_longest_hours')
    ) * 3600)::BIGINT;

CREATE TEMP MACRO lateness(point) AS
    CASE
        WHEN point < getvariable('late_same_day') THEN 'same day'
        WHEN point < getvariable('late_same_day') + getvariable('late_days') THEN 'days'
        WHEN point < getvariable('late_same_day') + getvariable('late_days')
            + getvariable('late_cancelled') THEN 'cancelled'
        ELSE 'forgotten'
    END;

-- When a step begun at t and due at another time is done; null if never.
CREATE TEMP MACRO done(t, due, fate, seconds, point) AS
    CASE fate
        WHEN 'prompt' THEN at_work(t + seconds)
        WHEN 'same day' THEN due + 60 + floor(point * (night_after(due) - due))::BIGINT
        WHEN 'days' THEN at_work(due + 86400 + floor(point * 259200)::BIGINT)
    END;

-- Seconds of a number of days between two whole ones.
CREATE TEMP MACRO between_days(point, from_days, to_days) AS
    floor((from_days + point * (to_days - from_days)) * 86400)::BIGINT;
