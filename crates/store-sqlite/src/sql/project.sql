SELECT id AS project_id, name AS project_name FROM projects WHERE name = :name
