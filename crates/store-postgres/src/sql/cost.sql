(SELECT CASE WHEN r.nano <= 9223372036854775807 THEN r.nano::int8 END
            FROM model_prices m
            CROSS JOIN LATERAL (SELECT least(coalesce({cached}, 0), {prompt}) AS cached) a
            CROSS JOIN LATERAL (SELECT least(coalesce({written_5m}, 0), {prompt} - a.cached) AS written_5m) b
            CROSS JOIN LATERAL (
                SELECT least(coalesce({written_1h}, 0), {prompt} - a.cached - b.written_5m) AS written_1h) c
            CROSS JOIN LATERAL (SELECT div(
                ({prompt} - a.cached - b.written_5m - c.written_1h)::numeric * m.input
                + a.cached::numeric * coalesce(m.cached_input, m.input)
                + b.written_5m::numeric * coalesce(m.cache_write_5m, m.input)
                + c.written_1h::numeric * coalesce(m.cache_write_1h, m.input)
                + {response}::numeric * m.output + 500000, 1000000) AS nano) r
            WHERE m.id = {price_id})