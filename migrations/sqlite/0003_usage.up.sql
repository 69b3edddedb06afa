-- Figures over executions are read from the executions themselves here; other databases add them up in advance.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (3, 1);
