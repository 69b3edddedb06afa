-- Opaque texts that have a config.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (8, 3);

-- Whether a version with a `content` is opaque; its `template_format` is 'handlebars'. Releases without `content` would execute
-- an opaque one without its config, and refuse a Handlebars one, whose text is empty.
ALTER TABLE prompt_versions ADD COLUMN is_opaque INTEGER NOT NULL DEFAULT 0 CHECK (is_opaque IN (0, 1));
UPDATE prompt_versions SET is_opaque = 1, template_format = 'handlebars'
WHERE content IS NOT NULL AND template_format = 'opaque';
