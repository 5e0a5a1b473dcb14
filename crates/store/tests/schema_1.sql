-- A database as schema 1 has it, with a row of every kind. It is never changed once schema 1
-- is released: a field that comes later has a default.
BEGIN;
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
CREATE TABLE log (
  task_id BLOB NOT NULL CHECK (length(task_id) = 16),
  first_seq INTEGER NOT NULL CHECK (first_seq > 0),
  last_seq INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (task_id, first_seq),
  CHECK (last_seq >= first_seq)
) STRICT, WITHOUT ROWID;
INSERT INTO workspaces (id, version, paused, body) VALUES (
  1,
  1,
  0,
  '{"id":1,"key":"default","paused":false,"created_at":0}');
INSERT INTO agents (id, workspace_id, agent_key, version, deleted, body) VALUES (
  X'018bcfe5680171018000000000000001',
  1,
  'agent-1',
  1,
  0,
  '{"id":"018bcfe5-6801-7101-8000-000000000001","workspace_id":1,"agent_key":"agent-1","name":"Agent 1","config":{"model":"sonnet","nested":{"ü":[1,2.5,null]}},"active":true,"deleted_at":null,"created_at":10,"updated_at":11}');
INSERT INTO agent_keys (workspace_id, agent_key, version, body) VALUES (
  1,
  'agent-1',
  1,
  '"018bcfe5-6801-7101-8000-000000000001"');
INSERT INTO tasks (id, workspace_id, agent_id, session_id, created_at, version, state, archived, instance_key, priority, queued_at, ready, waiter, due_at, body) VALUES (
  X'018bcfe5680172028000000000000001',
  1,
  X'018bcfe5680171018000000000000001',
  '018bcfe5-6801-7606-8000-000000000001',
  1700000000001,
  1,
  'queued',
  0,
  'execclass_00000000000000000000000000000001',
  2,
  1700000000001,
  1,
  0,
  NULL,
  '{"id":"018bcfe5-6801-7202-8000-000000000001","workspace_id":1,"agent_id":"018bcfe5-6801-7101-8000-000000000001","session_id":"018bcfe5-6801-7606-8000-000000000001","state":"queued","queue_mode":"followup","priority":"normal","idempotency_key":"018bcfe5-6801-7707-8000-000000000001","first_input_id":"018bcfe5-6801-7303-8000-000000000001","details":{"session_key":null,"hook_id":null,"timeout_ms":0,"lane":null,"extra_system_prompt":null,"input_provenance":null,"deliver":null,"label":null,"spawned_by":null,"routing":{},"dir":null},"policy":{"host":"sandbox","security":"allowlist","ask":"off","runtime_type":"gvisor","workspace_access":"rw","network_enabled":true,"interactive":false,"resources":{},"retry":{"max_attempts":2,"delay_ms":0},"sources":{}},"instance_key":"execclass_00000000000000000000000000000001","target_run_id":null,"inbox":["018bcfe5-6801-7303-8000-000000000001"],"parked":null,"wake_at":null,"cancel_requested_at":null,"error":null,"dropped_reason":null,"accepted_at":1700000000001,"queued_at":1700000000001,"dispatched_at":null,"archived_at":null,"created_at":1700000000001,"updated_at":1700000000001}');
INSERT INTO inputs (id, task_id, version, state, body) VALUES (
  X'018bcfe5680173038000000000000001',
  X'018bcfe5680172028000000000000001',
  1,
  'waiting',
  '{"id":"018bcfe5-6801-7303-8000-000000000001","workspace_id":1,"task_id":"018bcfe5-6801-7202-8000-000000000001","mode":"followup","message":"Read the issue, find the cause, write a test that shows it, and mend it.","attachments":[],"details":{},"idempotency_key":"018bcfe5-6801-7707-8000-000000000001","state":"waiting","delivery":"queued","outcome":null,"reason":null,"run_id":null,"created_at":1700000000001,"updated_at":1700000000001}');
INSERT INTO runs (id, workspace_id, agent_id, task_id, session_id, created_at, version, status, ended_at, body) VALUES (
  X'018bcfe5680174048000000000000001',
  1,
  X'018bcfe5680171018000000000000001',
  X'018bcfe5680172028000000000000001',
  '018bcfe5-6801-7606-8000-000000000001',
  1700000000001,
  1,
  'accepted',
  NULL,
  '{"id":"018bcfe5-6801-7404-8000-000000000001","workspace_id":1,"agent_id":"018bcfe5-6801-7101-8000-000000000001","origin_task_id":"018bcfe5-6801-7202-8000-000000000001","session_id":"018bcfe5-6801-7606-8000-000000000001","status":"accepted","policy":{"host":"sandbox","security":"allowlist","ask":"off","runtime_type":"gvisor","workspace_access":"rw","network_enabled":true,"interactive":false,"resources":{},"retry":{"max_attempts":2,"delay_ms":0},"sources":{}},"runtime":"gvisor","runtime_note":null,"provider":"anthropic","model":"sonnet","timeout_ms":600000,"instance_key":"execclass_00000000000000000000000000000001","input_id":"018bcfe5-6801-7303-8000-000000000001","live_attempt_id":"018bcfe5-6801-7505-8000-000000000001","attempt_count":1,"loss_count":0,"turn_count":0,"usage":{"input_tokens":0,"output_tokens":0,"cache_read_tokens":0,"cache_write_tokens":0,"cost_micro_usd":0},"result":null,"waiting_for_input":false,"error":null,"failure":null,"snapshot_seq":1,"started_at":null,"ended_at":null,"created_at":1700000000001,"updated_at":1700000000001}');
INSERT INTO attempts (id, run_id, attempt_no, version, status, ended_at, body) VALUES (
  X'018bcfe5680175058000000000000001',
  X'018bcfe5680174048000000000000001',
  1,
  1,
  'pending',
  NULL,
  '{"id":"018bcfe5-6801-7505-8000-000000000001","run_id":"018bcfe5-6801-7404-8000-000000000001","task_id":"018bcfe5-6801-7202-8000-000000000001","attempt_no":1,"status":"pending","strategy":"primary","worker_id":"worker-1","term":1,"runtime":"gvisor","provider":"anthropic","model":"sonnet","exit_code":null,"error":null,"failure":null,"started_at":null,"ended_at":null,"created_at":1700000000001,"updated_at":1700000000001}');
INSERT INTO leases (attempt_id, worker_id, version, state, body) VALUES (
  X'018bcfe5680175058000000000000001',
  'worker-1',
  1,
  'granted',
  '{"attempt_id":"018bcfe5-6801-7505-8000-000000000001","run_id":"018bcfe5-6801-7404-8000-000000000001","task_id":"018bcfe5-6801-7202-8000-000000000001","workspace_id":1,"session_id":"018bcfe5-6801-7606-8000-000000000001","instance_key":"execclass_00000000000000000000000000000001","worker_id":"worker-1","incarnation":"018bcfe5-6801-7808-8000-000000000001","term":1,"state":"granted","turn":{"Given":"018bcfe5-6801-7303-8000-000000000001"},"next_chunk":0}');
INSERT INTO sessions (workspace_id, id, version, body) VALUES (
  1,
  '018bcfe5-6801-7606-8000-000000000001',
  1,
  '{"workspace_id":1,"id":"018bcfe5-6801-7606-8000-000000000001","tasks":[["018bcfe5-6801-7101-8000-000000000001","018bcfe5-6801-7202-8000-000000000001"]],"live_run":null,"term":0,"begun":false,"waiter_count":0}');
INSERT INTO instances (key, workspace_id, version, runtime_type, pass, room, ready, body) VALUES (
  'execclass_00000000000000000000000000000001',
  1,
  1,
  'gvisor',
  1,
  2,
  0,
  '{"key":"execclass_00000000000000000000000000000001","workspace_id":1,"agent_id":"018bcfe5-6801-7101-8000-000000000001","lane":null,"runtime_type":"gvisor","status":"healthy","concurrency":2,"failed_attempt_threshold":5,"queued":0,"parked":0,"pending":0,"running":0,"stopping":0,"pass":1,"created_at":20,"updated_at":20}');
INSERT INTO workers (id, version, status, until, renewal, body) VALUES (
  'worker-1',
  1,
  'available',
  99,
  3,
  '{"id":"worker-1","incarnation":"018bcfe5-6801-7808-8000-000000000001","status":"available","offer":{"pool":"","runtimes":["gvisor"],"runners":[],"cpu_millis":4000,"memory_bytes":0,"gpus":0,"labels":{},"version":""},"until":99,"renewal":3,"grant_count":0,"connected_at":30,"updated_at":31}');
INSERT INTO receipts (workspace_id, agent_id, key, version, body) VALUES (
  1,
  X'018bcfe5680171018000000000000001',
  'key',
  1,
  '{"task_id":"018bcfe5-6801-7202-8000-000000000001","input_id":"018bcfe5-6801-7303-8000-000000000001","body_hash":"abababababababababababababababababababababababababababababababab"}');
INSERT INTO snapshots (run_id, seq, version, body) VALUES (
  X'018bcfe5680174048000000000000001',
  1,
  1,
  '{"run_id":"018bcfe5-6801-7404-8000-000000000001","seq":1,"status":"accepted","started_at":null,"ended_at":null,"error":null,"at":41,"payload":{"attempt_no":1,"event":"accepted"}}');
INSERT INTO log (task_id, first_seq, last_seq, body) VALUES (
  X'018bcfe5680172028000000000000001',
  1,
  1,
  '[{"ts":1700000000123,"kind":"event","event_type":"task.accepted","payload":{"instance":"execclass_00000000000000000000000000000001","state":"queued"}}]');
PRAGMA user_version = 1;
COMMIT;
