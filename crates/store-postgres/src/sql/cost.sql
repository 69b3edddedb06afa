(SELECT CASE WHEN r.nano <= 9223372036854775807 THEN r.nano::int8 END
            FROM model_prices m CROSS JOIN LATERAL (SELECT div(
                ({prompt} - least(coalesce({cached}, 0), {prompt}))::numeric * m.input
                + least(coalesce({cached}, 0), {prompt})::numeric * coalesce(m.cached_input, m.input)
                + {response}::numeric * m.output + 500000, 1000000) AS nano) r
            WHERE m.id = {price_id})