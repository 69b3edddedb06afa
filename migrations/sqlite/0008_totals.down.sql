DELETE FROM usage_rollups WHERE series IN (SELECT id FROM usage_series WHERE provider = '');
DELETE FROM usage_series WHERE provider = '';

DELETE FROM schema_compatibility WHERE version = 8;
