INSERT INTO model_prices (id, provider, model_name, input, cached_input, output, valid_from, created_at)
VALUES (:id, :provider, :model_name, :input, :cached_input, :output, :valid_from, :created_at)
