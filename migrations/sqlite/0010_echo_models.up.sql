-- The models of the built-in provider that write at a human pace, free of charge.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (10, 9);

-- Who has registered them keeps what was written.
INSERT OR IGNORE INTO models (provider, model_name, max_tokens, supports_streaming, created_at, updated_at)
SELECT 'echo', value, NULL, 1, unixepoch() * 1000000, unixepoch() * 1000000 FROM json_each('["slow", "long"]');
INSERT INTO model_prices (id, provider, model_name, input, cached_input, output, valid_from, created_at)
SELECT '01900000-0000-7000-8000-00000002000' || key, 'echo', value, 0, NULL, 0, unixepoch('2025-01-01') * 1000000,
    unixepoch() * 1000000
FROM json_each('["slow", "long"]')
WHERE NOT EXISTS (SELECT 1 FROM model_prices p WHERE p.provider = 'echo' AND p.model_name = value);
