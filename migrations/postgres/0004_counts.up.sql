-- How many executions each version has is read from the rollups here; other databases count it.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (4, 1);
