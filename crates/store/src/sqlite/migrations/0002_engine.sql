-- Schedules, what was spent, and what else has a time at which it is looked at.

ALTER TABLE leases ADD COLUMN instance_key TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN due_at INTEGER;
UPDATE leases SET instance_key = json_extract(body, '$.instance_key');
CREATE INDEX leases_due ON leases (due_at, attempt_id) WHERE due_at IS NOT NULL;
CREATE INDEX leases_idle ON leases (instance_key, due_at, attempt_id) WHERE due_at IS NOT NULL;

ALTER TABLE workspaces ADD COLUMN weight INTEGER NOT NULL DEFAULT 1 CHECK (weight > 0);

-- A class is found by what it needs, in an index of its own for each priority of which it has
-- ready tasks while it has room. Keys are hashes: rows and turns stand in the order of their making,
-- so that what many schedules wake at once lies together.
DROP INDEX instances_ready;
DROP INDEX instances_list;
ALTER TABLE instances RENAME TO instances_1;
CREATE TABLE instances (
  key TEXT NOT NULL UNIQUE,
  workspace_id INTEGER NOT NULL,
  agent_id BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  needs TEXT NOT NULL,
  pass INTEGER NOT NULL,
  room INTEGER NOT NULL CHECK (room >= 0),
  turn INTEGER NOT NULL CHECK (turn > 0),
  weight INTEGER NOT NULL CHECK (weight > 0),
  ready_urgent INTEGER NOT NULL CHECK (ready_urgent IN (0, 1)),
  ready_high INTEGER NOT NULL CHECK (ready_high IN (0, 1)),
  ready_normal INTEGER NOT NULL CHECK (ready_normal IN (0, 1)),
  ready_low INTEGER NOT NULL CHECK (ready_low IN (0, 1)),
  held INTEGER NOT NULL CHECK (held IN (0, 1)),
  due_at INTEGER,
  body TEXT NOT NULL,
  CHECK (ready_urgent + ready_high + ready_normal + ready_low = 0 OR room > 0),
  CHECK (held = 0 OR (room = 0 AND due_at IS NOT NULL))
) STRICT;

-- How many ready tasks of each priority a class has, and what it needs as far as its row told.
INSERT INTO instances
  SELECT key, workspace_id, unhex(replace(body ->> '$.agent_id', '-', '')),
    body ->> '$.created_at', version, needs, pass,
    room, 1, 1, urgent > 0 AND room > 0, high > 0 AND room > 0, normal > 0 AND room > 0,
    low > 0 AND room > 0, 0, NULL,
    json_set(json_remove(body, '$.runtime_type'), '$.ready',
      json_array(urgent, high, normal, low), '$.needs', json(needs))
  FROM (
    SELECT instances_1.*,
      json_object('runtime_type', runtime_type, 'pool', 'default', 'labels', json('{}'),
        'resources', json_object('cpu_millis', 0, 'memory_bytes', 0, 'gpus', 0)) AS needs,
      (SELECT count(*) FROM tasks INDEXED BY tasks_ready
        WHERE ready = 1 AND instance_key = instances_1.key AND priority = 0) AS urgent,
      (SELECT count(*) FROM tasks INDEXED BY tasks_ready
        WHERE ready = 1 AND instance_key = instances_1.key AND priority = 1) AS high,
      (SELECT count(*) FROM tasks INDEXED BY tasks_ready
        WHERE ready = 1 AND instance_key = instances_1.key AND priority = 2) AS normal,
      (SELECT count(*) FROM tasks INDEXED BY tasks_ready
        WHERE ready = 1 AND instance_key = instances_1.key AND priority = 3) AS low
    FROM instances_1
  );
DROP TABLE instances_1;

CREATE INDEX instances_list ON instances (workspace_id, created_at, key);
CREATE INDEX instances_agent ON instances (agent_id, created_at, key);
CREATE INDEX instances_due ON instances (due_at, key) WHERE due_at IS NOT NULL;
CREATE INDEX instances_held ON instances (workspace_id, key) WHERE held = 1;
CREATE INDEX instances_ready_urgent
  ON instances (workspace_id, needs, pass, created_at, key, room, turn, weight) WHERE ready_urgent = 1;
CREATE INDEX instances_ready_high
  ON instances (workspace_id, needs, pass, created_at, key, room, turn, weight) WHERE ready_high = 1;
CREATE INDEX instances_ready_normal
  ON instances (workspace_id, needs, pass, created_at, key, room, turn, weight) WHERE ready_normal = 1;
CREATE INDEX instances_ready_low
  ON instances (workspace_id, needs, pass, created_at, key, room, turn, weight) WHERE ready_low = 1;

CREATE TABLE schedules (
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  workspace_id INTEGER NOT NULL,
  agent_id BLOB NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  due_at INTEGER,
  body TEXT NOT NULL,
  CHECK (due_at IS NULL OR deleted = 0)
) STRICT;
CREATE INDEX schedules_list ON schedules (workspace_id, id) WHERE deleted = 0;
CREATE INDEX schedules_agent ON schedules (agent_id, id) WHERE deleted = 0;
CREATE INDEX schedules_due ON schedules (due_at, id) WHERE due_at IS NOT NULL;

CREATE TABLE missed (
  schedule_id BLOB NOT NULL CHECK (length(schedule_id) = 16),
  seq INTEGER NOT NULL CHECK (seq >= 0),
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL,
  PRIMARY KEY (schedule_id, seq)
) STRICT, WITHOUT ROWID;

-- The account of a workspace itself has an empty agent_id.
CREATE TABLE accounts (
  workspace_id INTEGER NOT NULL,
  agent_id BLOB NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL,
  PRIMARY KEY (workspace_id, agent_id)
) STRICT, WITHOUT ROWID;
