//! Every cap of the engine, with its unit last, related to its neighbours at compile time.

use crate::time::Span;

/// A message (ACC-8).
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Attachments of one command (ACC-8).
pub const ATTACHMENTS_MAX: usize = 32;
/// All attachments of one command together, as JSON text (ACC-8).
pub const ATTACHMENTS_BYTES_MAX: usize = 10 << 20;
/// Nesting of a request body (ACC-8).
pub const PAYLOAD_DEPTH_MAX: usize = 32;
/// An idempotency key, a session id, a lane (ACC-8).
pub const KEY_BYTES_MAX: usize = 256;
/// An agent key: it names a directory.
pub const AGENT_KEY_BYTES_MAX: usize = 128;
/// Any other single line of text: labels, names, routing fields.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// An extra system prompt, and an agent's config as JSON text.
pub const CONFIG_BYTES_MAX: usize = 256 << 10;
/// A whole request body: a message and attachments with their JSON around.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// Commands of one call (ACC-7).
pub const BULK_MAX: usize = 1_000;

/// How long no further message may have come before collected ones make a turn (INP-2).
pub const COLLECT_QUIET: Span = Span::millis(2_000);
/// How long the process of an interrupted turn may take to say what became of its steers: it may
/// have to be given them first.
pub const STEERS_SETTLE: Span = Span::seconds(10);
/// How long the process of an agent that asked something is kept when its config does not say.
pub const IDLE_TIMEOUT_ASKED_MS: u64 = 60_000;
/// Inputs of a task that wait (INP-6).
pub const INBOX_MAX: usize = 20;

/// `timeout_ms` when none is given (ACC-1).
pub const TIMEOUT_MS_DEFAULT: u64 = 600_000;
/// 30 days.
pub const TIMEOUT_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// Resources of a policy (POL-1).
pub const CPU_MILLIS_MAX: u64 = 32_000;
pub const MEMORY_BYTES_MAX: u64 = 128 << 30;
pub const GPUS_MAX: u64 = 8;
/// Attempts of a run, and the wait between two of them.
pub const RETRY_ATTEMPTS_MAX: u32 = 100;
pub const RETRY_DELAY_MS_MAX: u64 = 24 * 3_600_000;

/// Concurrency of a class when nobody set another (DSP-6).
pub const CONCURRENCY_DEFAULT: u32 = 1;
pub const CONCURRENCY_MAX: u32 = 10_000;
/// Failures that degrade an instance (INS-1).
pub const FAILED_ATTEMPT_THRESHOLD: u32 = 5;
pub const THRESHOLD_MAX: u32 = 1_000;
/// How long a degraded instance waits before it tries one task: doubled each time it fails (INS-2).
pub const COOL_DOWN: Span = Span::seconds(30);
pub const COOL_DOWN_MAX: Span = Span::seconds(15 * 60);
/// Changes of an instance's status that are kept with it.
pub const HISTORY_MAX: usize = 20;
/// Shares of a workspace, or of a class in its workspace (DSP-2).
pub const WEIGHT_MAX: u32 = 1_000;
/// Labels that an agent may ask of its workers.
pub const LABELS_MAX: usize = 32;
/// Classes that follow a change of their agent's config, or of a budget, in its transaction; the
/// others follow when they are used or looked at next.
pub const CLASSES_MAX: usize = 10_000;
/// When a class is looked at again whose budget has no end but a person's word.
pub const BUDGET_RECHECK: Span = Span::seconds(5 * 60);
/// A budget, in dollars.
pub const BUDGET_USD_MAX: f64 = 1e9;
/// Attempts of a run that use up no retry, because nobody was to blame.
pub const EXCUSED_MAX: u32 = 10;
/// A run that lost this many workers is set aside (RUN-7).
pub const POISON_LOSSES_MAX: u32 = 3;

/// How long a worker's lease runs from the sending of its last acknowledged heartbeat.
/// The formula is in `lease`.
pub const LEASE: Span = Span::millis(8_000);
/// How often a worker renews its lease.
pub const HEARTBEAT: Span = Span::millis(2_000);
/// How long before the end of its lease a worker begins to stop what it runs.
pub const FENCE: Span = Span::millis(2_000);
/// How long before the end of the lease a worker's guardian kills what is left: after the worker's
/// own SIGKILL, so that a healthy worker never meets it.
pub const GUARDIAN: Span = Span::millis(400);
/// A dead worker's runs are taken up again within this (RUN-6).
pub const TAKEOVER_MAX: Span = Span::seconds(10);

const _: () = assert!(HEARTBEAT.0 * 2 < LEASE.0 - FENCE.0, "one lost heartbeat ends no lease");
const _: () = assert!(LEASE.0 < TAKEOVER_MAX.0, "a lease ends before takeover is promised");

/// Commands decided together: each adds some ten rows, and a batch's latency is everyone's.
pub const BATCH_COMMANDS_MAX: usize = 512;
/// Rows of the engine's cache in each of its two generations, at about 1 KiB a row.
pub const CACHE_ROWS_MAX: usize = 8_192;
/// How long nothing is looked for that is due, when what was found must be waited for.
pub const DUE_PAUSE: Span = Span::millis(100);
/// How often a batch is decided again after another server's commit got in between.
pub const DECIDE_RETRIES_MAX: u32 = 8;
/// Tasks looked for in one search of ready work.
pub const READY_MAX: usize = 512;
/// Workspaces visited in one search of ready work, unless there are more places: at some 40 µs
/// each. Shares are exact among so many that want more than they get.
pub const READY_WORKSPACES: usize = 32;
/// Workspaces that a server remembers the shares of before it forgets those with nothing ahead.
pub const SHARES_MAX: usize = 1_024;
/// Parked tasks looked at when a session becomes free.
pub const WAITERS_MAX: usize = 64;
/// Timers taken in one search of what is due: however many are, commands have places beside them.
pub const DUE_MAX: usize = 256;
const _: () = assert!(DUE_MAX * 2 <= BATCH_COMMANDS_MAX);
/// The floor under a lost wake-up.
pub const POLL_FLOOR: Span = Span::seconds(1);

/// Executions of one worker.
pub const SLOTS_MAX: u32 = 10_000;
/// The text that a turn ends with.
pub const RESULT_BYTES_MAX: usize = 256 << 10;
/// Events of one report.
pub const REPORT_EVENTS_MAX: usize = 256;
/// Chunks of one batch of logs.
pub const BATCH_CHUNKS_MAX: usize = 32;
/// Log records of one chunk, and their data together.
pub const CHUNK_RECORDS_MAX: usize = 1_024;
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// How long a stopped execution has after each rung of the ladder (`supervisor::ladder`): after
/// the agent's own interrupt, after SIGTERM, and what SIGKILL takes on a busy host.
pub const STOP_GENTLE: Span = Span::millis(1_000);
pub const STOP_TERMINATE: Span = Span::millis(500);
pub const STOP_KILL: Span = Span::millis(300);
/// How long an agent that was told that no turn follows may take to end by itself.
pub const CLOSE_GRACE: Span = Span::seconds(10);

const _: () = assert!(
    STOP_GENTLE.0 + STOP_TERMINATE.0 + STOP_KILL.0 < FENCE.0,
    "a whole ladder fits between the fence and the end of the lease"
);

const _: () = assert!(
    STOP_GENTLE.0 + STOP_TERMINATE.0 < FENCE.0 - GUARDIAN.0,
    "the guardian acts when the ladder has come to its last rung"
);
const _: () = assert!(STOP_KILL.0 < GUARDIAN.0, "what the guardian kills is gone before the lease");

/// How far the next time of a schedule is searched. 29 February comes after at most eight years;
/// should a clock change take that one away, after as many again (SCH-1).
pub const CRON_YEARS_MAX: i16 = 16;
/// How late a tick may fire: it is missed after that (SCH-4). A busy server is seconds late, so
/// there is a least one.
pub const CATCHUP_WINDOW_MS_DEFAULT: u64 = 3_600_000;
pub const CATCHUP_WINDOW_MS_MIN: u64 = 10_000;
pub const CATCHUP_WINDOW_MS_MAX: u64 = 30 * 24 * 3_600_000;
pub const JITTER_MS_MAX: u64 = 24 * 3_600_000;
pub const PAUSE_AFTER_FAILURES_MAX: u32 = 1_000;
/// Skills that an agent is told of; all of them fit in an extra system prompt.
pub const SKILL_PATHS_MAX: usize = 32;
/// Ticks of a schedule that wait for its open tasks.
pub const BUFFERED_TICKS_MAX: usize = 1_000;
/// Tasks of a schedule that are known to be open; ticks and triggers beyond are not waited for.
pub const OPEN_TASKS_MAX: usize = 1_000;
/// Ticks of one backfill: one batch.
pub const BACKFILL_TICKS_MAX: usize = 1_000;
/// Ticks looked at in one command: what a long downtime left behind is counted bit by bit.
pub const TICKS_AT_ONCE_MAX: usize = 256;
/// Times of one preview.
pub const PREVIEW_MAX: usize = 100;
/// Schedules that go with their agent in one batch.
pub const AGENT_SCHEDULES_MAX: usize = 10_000;

/// Rows of one page of a list (API-2).
pub const PAGE_DEFAULT: usize = 50;
pub const PAGE_MAX: usize = 200;
/// Stream records of one page, and their data together; one record is always given.
pub const STREAM_PAGE_MAX: usize = 1_000;
pub const STREAM_PAGE_BYTES_MAX: usize = 4 << 20;
/// Pages of a stream that are gone through for one answer that shows only some of its records.
pub const STREAM_PAGES_SCANNED_MAX: usize = 4;

/// Records that a task's stream keeps, when nothing else is set.
pub const RECORDS_MAX_DEFAULT: u64 = 1_000_000;
/// Days that a stream is kept after its task has come to rest, when nothing else is set.
pub const DAYS_AFTER_REST_DEFAULT: u32 = 30;
/// A stream that is too long is trimmed when so many records have come: a tenth of what it keeps,
/// and no more than a commit removes in about a millisecond.
pub const TRIM_STEP_MAX: u64 = 1_000;
/// Records that one commit removes of one stream: more than a step, so that a stream which was
/// not trimmed in its time is caught up with.
pub const TRIM_RECORDS_MAX: u64 = 4_000;
/// Tasks looked at in one search of those that rest: some 100 000 records at the very most.
pub const RESTED_MAX: usize = 32;
/// How often those are searched for, and how soon again when there are more.
pub const REST_SEARCH: Span = Span::seconds(60);
pub const REST_SEARCH_AGAIN: Span = Span::seconds(1);

const _: () = assert!(TRIM_STEP_MAX < TRIM_RECORDS_MAX, "a trim removes more than what comes");

const _: () = assert!(MESSAGE_BYTES_MAX + ATTACHMENTS_BYTES_MAX < BODY_BYTES_MAX);
const _: () = assert!(SKILL_PATHS_MAX * TEXT_BYTES_MAX < CONFIG_BYTES_MAX);
const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
