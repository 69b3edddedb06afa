-- Prompts by the revision of their last write: what a stream of prompts has not told yet.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (11, 9);

CREATE INDEX prompts_revision ON prompts (project_id, revision);
