-- One table for each kind of row: what it is found by in columns of its own, all of it as JSON
-- in body. Ids are the 16 bytes of the UUID. A fat body lives in a table with rowids, since it
-- would leave an index tree with few rows a page; a thin one lives in its primary key.
-- A check spells out its words with OR: IN with three or more fills a table of its own for every
-- row that is written, which doubles the cost of the write.

CREATE TABLE workspaces (
  id INTEGER PRIMARY KEY,
  version INTEGER NOT NULL CHECK (version > 0),
  paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
  body TEXT NOT NULL
) STRICT;

CREATE TABLE agents (
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  workspace_id INTEGER NOT NULL,
  agent_key TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  body TEXT NOT NULL
) STRICT;
CREATE INDEX agents_list ON agents (workspace_id, agent_key, id) WHERE deleted = 0;

CREATE TABLE agent_keys (
  workspace_id INTEGER NOT NULL,
  agent_key TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL,
  PRIMARY KEY (workspace_id, agent_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  workspace_id INTEGER NOT NULL,
  agent_id BLOB NOT NULL,
  session_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  state TEXT NOT NULL CHECK (
    state = 'queued' OR state = 'running' OR state = 'waiting' OR state = 'done'
    OR state = 'error' OR state = 'cancelled' OR state = 'dropped'),
  archived INTEGER NOT NULL CHECK (archived IN (0, 1)),
  instance_key TEXT NOT NULL,
  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
  queued_at INTEGER,
  ready INTEGER NOT NULL CHECK (ready IN (0, 1)),
  waiter INTEGER NOT NULL CHECK (waiter IN (0, 1)),
  due_at INTEGER,
  body TEXT NOT NULL,
  CHECK (ready = 0 OR (state = 'queued' AND queued_at IS NOT NULL AND waiter = 0)),
  CHECK (waiter = 0 OR state = 'queued'),
  CHECK (due_at IS NULL OR (state = 'queued' AND ready = 0))
) STRICT;
CREATE INDEX tasks_list ON tasks (workspace_id, archived, state, id);
CREATE INDEX tasks_ready ON tasks (instance_key, priority, queued_at, id) WHERE ready = 1;
CREATE INDEX tasks_waiting ON tasks (session_id, workspace_id, queued_at, id) WHERE waiter = 1;
CREATE INDEX tasks_due ON tasks (due_at, id) WHERE due_at IS NOT NULL;

CREATE TABLE inputs (
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  task_id BLOB NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  state TEXT NOT NULL CHECK (state = 'waiting' OR state = 'taken' OR state = 'settled'),
  body TEXT NOT NULL
) STRICT;
-- The rowid, which every index ends with, is the order of their coming.
CREATE INDEX inputs_task ON inputs (task_id);

CREATE TABLE runs (
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  workspace_id INTEGER NOT NULL,
  agent_id BLOB NOT NULL,
  task_id BLOB NOT NULL,
  session_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  status TEXT NOT NULL CHECK (
    status = 'accepted' OR status = 'running' OR status = 'ok' OR status = 'error'
    OR status = 'timeout' OR status = 'cancelled'),
  ended_at INTEGER,
  body TEXT NOT NULL,
  CHECK (status IN ('accepted', 'running') OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX runs_list ON runs (workspace_id, status, id);
CREATE INDEX runs_task ON runs (task_id, id);

CREATE TABLE attempts (
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  run_id BLOB NOT NULL,
  attempt_no INTEGER NOT NULL CHECK (attempt_no >= 0),
  version INTEGER NOT NULL CHECK (version > 0),
  status TEXT NOT NULL CHECK (
    status = 'pending' OR status = 'blocked' OR status = 'running' OR status = 'ok'
    OR status = 'error' OR status = 'timeout' OR status = 'cancelled'),
  ended_at INTEGER,
  body TEXT NOT NULL,
  CHECK (status = 'pending' OR status = 'blocked' OR status = 'running' OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX attempts_run ON attempts (run_id, attempt_no, id);

CREATE TABLE leases (
  attempt_id BLOB NOT NULL PRIMARY KEY CHECK (length(attempt_id) = 16),
  worker_id TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  state TEXT NOT NULL CHECK (
    state = 'granted' OR state = 'held' OR state = 'stopping' OR state = 'released'
    OR state = 'expired'),
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_worker ON leases (worker_id, attempt_id);

CREATE TABLE sessions (
  workspace_id INTEGER NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL,
  PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE instances (
  key TEXT NOT NULL PRIMARY KEY,
  workspace_id INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  runtime_type TEXT NOT NULL CHECK (runtime_type IN ('gvisor', 'runc')),
  pass INTEGER NOT NULL,
  room INTEGER NOT NULL CHECK (room >= 0),
  ready INTEGER NOT NULL CHECK (ready IN (0, 1)),
  body TEXT NOT NULL,
  CHECK (ready = 0 OR room > 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX instances_ready ON instances (runtime_type, pass, key, workspace_id, room)
  WHERE ready = 1;
CREATE INDEX instances_list ON instances (workspace_id, key);

CREATE TABLE workers (
  id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL CHECK (version > 0),
  status TEXT NOT NULL CHECK (
    status = 'available' OR status = 'draining' OR status = 'offline'),
  until INTEGER,
  renewal INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX workers_due ON workers (until, id, renewal) WHERE until IS NOT NULL;

CREATE TABLE receipts (
  workspace_id INTEGER NOT NULL,
  agent_id BLOB NOT NULL CHECK (length(agent_id) = 16),
  key TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL,
  PRIMARY KEY (workspace_id, agent_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
  run_id BLOB NOT NULL CHECK (length(run_id) = 16),
  seq INTEGER NOT NULL CHECK (seq >= 0),
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- One row for each append; body is the JSON list of its records, without their numbers.
CREATE TABLE log (
  task_id BLOB NOT NULL CHECK (length(task_id) = 16),
  first_seq INTEGER NOT NULL CHECK (first_seq > 0),
  last_seq INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (task_id, first_seq),
  CHECK (last_seq >= first_seq)
) STRICT, WITHOUT ROWID;
