-- Since when a task rests and has a stream that is to be trimmed some day.

ALTER TABLE tasks ADD COLUMN rested_at INTEGER;
UPDATE tasks SET rested_at = json_extract(body, '$.updated_at'),
    body = json_set(body, '$.rested_at', json_extract(body, '$.updated_at'))
  WHERE state = 'done' OR state = 'error' OR state = 'cancelled' OR state = 'dropped';
CREATE INDEX tasks_rested ON tasks (rested_at, id) WHERE rested_at IS NOT NULL;
