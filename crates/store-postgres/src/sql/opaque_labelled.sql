SELECT version_number FROM prompt_versions
    WHERE prompt_id = $1 AND version_number = ANY ($2) AND (template_format = 'opaque' OR is_opaque)
