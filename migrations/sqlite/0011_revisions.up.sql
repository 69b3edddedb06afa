-- Prompts by the revision of their last write: what a stream of prompts has not told yet.

INSERT INTO schema_compatibility (version, compatible_from) VALUES (11, 9);

-- Every revision is above 0: the condition keeps the index from statements that look for a project and a name.
CREATE INDEX prompts_revision ON prompts (project_id, revision) WHERE revision > 0;
