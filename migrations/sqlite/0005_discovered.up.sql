-- Whether a model was registered by its first use, and not by PutModel. Of the models that are there it is not known.
ALTER TABLE models ADD COLUMN discovered INTEGER NOT NULL DEFAULT 0 CHECK (discovered IN (0, 1));

INSERT INTO schema_compatibility (version, compatible_from) VALUES (5, 1);
