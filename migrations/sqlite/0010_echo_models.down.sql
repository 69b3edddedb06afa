-- A model with a price of its own was registered by somebody, and stays.
DELETE FROM models
WHERE provider = 'echo' AND model_name IN ('slow', 'long') AND NOT EXISTS (
    SELECT 1 FROM model_prices p WHERE p.provider = models.provider AND p.model_name = models.model_name
        AND p.id NOT IN ('01900000-0000-7000-8000-000000020000', '01900000-0000-7000-8000-000000020001'));

DELETE FROM schema_compatibility WHERE version = 10;
