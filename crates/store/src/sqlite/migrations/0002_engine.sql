-- Schedules, what was spent, and what else has a time at which it is looked at.

ALTER TABLE leases ADD COLUMN instance_key TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN due_at INTEGER;
UPDATE leases SET instance_key = json_extract(body, '$.instance_key');
CREATE INDEX leases_due ON leases (due_at, attempt_id) WHERE due_at IS NOT NULL;
CREATE INDEX leases_idle ON leases (instance_key, due_at, attempt_id) WHERE due_at IS NOT NULL;

ALTER TABLE instances ADD COLUMN due_at INTEGER;
CREATE INDEX instances_due ON instances (due_at, key) WHERE due_at IS NOT NULL;

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
