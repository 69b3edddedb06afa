UPDATE prompt_versions SET template_format = 'opaque' WHERE is_opaque;
ALTER TABLE prompt_versions DROP COLUMN is_opaque;

DELETE FROM schema_compatibility WHERE version = 8;
