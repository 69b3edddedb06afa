INSERT INTO models (provider, model_name, max_tokens, supports_streaming, capabilities, discovered, created_at,
    updated_at)
VALUES (:provider, :model_name, :max_tokens, :supports_streaming, :capabilities, :discovered, :created_at, :updated_at)
ON CONFLICT (provider, model_name) DO UPDATE SET
    max_tokens = excluded.max_tokens, supports_streaming = excluded.supports_streaming,
    capabilities = excluded.capabilities,
    discovered = excluded.discovered, updated_at = excluded.updated_at;
UPDATE revisions SET revision = revision + 1 WHERE scope = 'models'
