SELECT version_number FROM prompt_versions WHERE prompt_id = :prompt_id
    AND version_number IN (SELECT value FROM json_each(:numbers)) AND (template_format = 'opaque' OR is_opaque)
