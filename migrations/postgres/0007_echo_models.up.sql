-- The models of the built-in provider that write at a human pace, free of charge.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (7, 1);

-- Who has registered them keeps what was written.
INSERT INTO models (provider, model_name, max_tokens, supports_streaming, created_at, updated_at)
VALUES ('echo', 'slow', NULL, true, clock_timestamp(), clock_timestamp()),
       ('echo', 'long', NULL, true, clock_timestamp(), clock_timestamp())
ON CONFLICT DO NOTHING;
INSERT INTO model_prices (id, provider, model_name, input, cached_input, output, valid_from, created_at)
SELECT n.id, 'echo', n.model_name, 0, NULL, 0, '2025-01-01'::timestamp AT TIME ZONE 'UTC', clock_timestamp()
FROM (VALUES ('01900000-0000-7000-8000-000000020000'::uuid, 'slow'), ('01900000-0000-7000-8000-000000020001', 'long'))
    AS n (id, model_name)
WHERE NOT EXISTS (SELECT FROM model_prices p WHERE p.provider = 'echo' AND p.model_name = n.model_name);
