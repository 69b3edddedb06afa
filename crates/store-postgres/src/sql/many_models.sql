WHERE (m.provider, m.model_name) > (:after_provider, :after_model) AND (:provider = '' OR m.provider = :provider)
ORDER BY m.provider, m.model_name LIMIT :most
