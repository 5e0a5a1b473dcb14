//! Following a task's stream.
//!
//! **What** Records are shown as they come, until what was waited for is there ([`Until`]) or the
//! person has had enough.
//!
//! **Invariants** A record is shown once: a stream that drops is taken up behind the last record.
//! Whether the end has come is asked of the server after a record that may mean it, never guessed
//! from the records alone.
//!
//! **Failure** A server that does not answer is tried again for a minute; a "no" ends it at once.
//!
//! **Not here** What records look like (`transcript`), what a question is answered with (`cmd`).

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hostler_wire::client::{ClientError, Event, Events};
use hostler_wire::json::word::{InputState, TaskState};
use hostler_wire::json::{InputId, Record, RecordBody, Run, TaskId, TaskSnapshot};
use hostler_wire::status::Exit;
use tokio::time::{MissedTickBehavior, interval};

use crate::connect::Site;
use crate::keyboard::{Keyboard, Stop, Stops};
use crate::print::{self, Progress};
use crate::transcript;

/// A server that was there is waited for so long.
const RETRY_MAX: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_AGAIN_MAX: Duration = Duration::from_secs(2);
/// How often a queued task is asked what it waits for: that is no record of its stream.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Events that may be the end of what is waited for.
const ENDS: [&str; 4] = ["finished", "input_withdrawn", "task_cancelled", "waiting"];

/// Until when a task is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The end of what is there.
    Now,
    /// The task has come to rest, or waits for an answer.
    Rest,
    /// This message has been dealt with, and its run is over or waits for another one.
    Input(InputId),
}

/// How the following ended.
#[derive(Debug)]
pub enum Ended {
    /// What was waited for is there; the run that came of it, if one did.
    Over(Option<Box<Run>>),
    /// The person does not want to see more.
    Left,
}

impl Ended {
    /// The exit code of a command that followed.
    pub fn exit(&self) -> Exit {
        match self {
            Ended::Over(Some(run)) => {
                hostler_wire::status::exit_of_run(run.status).unwrap_or(Exit::Ok)
            }
            // Cancelled before it had a run.
            Ended::Over(None) => Exit::RunFailed,
            Ended::Left => Exit::Ok,
        }
    }
}

/// What Ctrl-C means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// Looking ends, nothing else.
    Leave,
    /// The task is this command's own: it may be cancelled.
    Ask,
}

pub struct Follower<'a> {
    pub site: &'a mut Site,
    pub keyboard: Keyboard,
    task: TaskId,
    stops: Stops,
    on_stop: OnStop,
    json: bool,
    progress: Progress,
    until: Until,
    /// Nothing is shown before the record about this input.
    show_from: Option<InputId>,
    cursor: u64,
    /// The stream's end when it was last asked for.
    last_seq: u64,
    is_queued: bool,
    is_cancelled: bool,
    /// It is over; what the stream held by then is shown to its end.
    over: Option<Ended>,
}

impl<'a> Follower<'a> {
    pub fn new(
        site: &'a mut Site,
        task: TaskId,
        on_stop: OnStop,
        json: bool,
    ) -> anyhow::Result<Follower<'a>> {
        Ok(Follower {
            site,
            keyboard: Keyboard::default(),
            task,
            stops: Stops::listen()?,
            on_stop,
            json,
            progress: Progress::new(json),
            until: Until::Rest,
            show_from: None,
            cursor: 0,
            last_seq: 0,
            is_queued: false,
            is_cancelled: false,
            over: None,
        })
    }

    /// Only what comes after this `seq`.
    pub fn after(&mut self, cursor: u64) {
        self.cursor = cursor;
    }

    /// Only what comes with this input and after it.
    pub fn show_from(&mut self, input: InputId) {
        self.show_from = Some(input);
    }

    /// Shows the stream until then. It can be followed on after that.
    pub async fn follow(&mut self, until: Until) -> anyhow::Result<Ended> {
        self.until = until;
        self.is_cancelled = false;
        self.over = None;
        self.progress.resume();
        let ended = self.connected().await;
        self.progress.pause();
        ended
    }

    /// Over as many connections as it takes.
    async fn connected(&mut self) -> anyhow::Result<Ended> {
        let mut lost: Option<Instant> = None;
        let mut wait = RETRY_FIRST;
        loop {
            let client = self.site.client.clone();
            let broken = match client.events(&self.task.to_string(), self.cursor).await {
                Ok(events) => {
                    (lost, wait) = (None, RETRY_FIRST);
                    match self.read(events).await? {
                        Read::Ended(ended) => return Ok(ended),
                        Read::Again => continue,
                        Read::Broken(error) => error,
                    }
                }
                Err(error) => Some(error),
            };
            let since = *lost.get_or_insert_with(Instant::now);
            if let Some(error) = broken
                && (!error.is_retryable() || since.elapsed() > RETRY_MAX)
            {
                return self.over.take().ok_or_else(|| error.into());
            }
            self.progress.wait_for("the connection is gone; trying again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                stop = self.stops.next() => {
                    if let Some(ended) = self.stop(stop).await? {
                        return Ok(ended);
                    }
                }
            }
            wait = (wait * 2).min(RETRY_AGAIN_MAX);
            if let Err(error) = self.site.again().await
                && since.elapsed() > RETRY_MAX
            {
                return self.over.take().ok_or(error);
            }
        }
    }

    /// One connection's worth.
    async fn read(&mut self, mut events: Events) -> anyhow::Result<Read> {
        let mut look = interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        if let Some(read) = self.take(event).await? {
                            return Ok(read);
                        }
                    }
                    Some(Err(error)) => return Ok(Read::Broken(Some(error))),
                    None => return Ok(Read::Broken(None)),
                },
                _ = look.tick() => self.look().await,
                stop = self.stops.next() => {
                    if let Some(ended) = self.stop(stop).await? {
                        return Ok(Read::Ended(ended));
                    }
                }
                error = self.site.ended() => return Err(error),
            }
        }
    }

    async fn take(&mut self, event: Event) -> anyhow::Result<Option<Read>> {
        let may_be_over = match event {
            Event::Snapshot(snapshot) => {
                self.snapshot(&snapshot);
                true
            }
            Event::Record(record) => {
                self.cursor = record.cursor();
                self.record(&record)?;
                match &record.body {
                    RecordBody::Event { event_type, .. } => ENDS.contains(&event_type.as_str()),
                    _ => self.cursor == self.last_seq,
                }
            }
        };
        // What is there already is shown to its end first.
        if self.cursor < self.last_seq || !may_be_over && self.cursor != self.last_seq {
            return Ok(None);
        }
        let was_over = self.over.take().is_some();
        Ok(match self.over().await? {
            Some(Ended::Over(run)) if !was_over => {
                // Perhaps since the stream's end was told: that is asked for again.
                self.over = Some(Ended::Over(run));
                Some(Read::Again)
            }
            ended => ended.map(Read::Ended),
        })
    }

    fn snapshot(&mut self, snapshot: &TaskSnapshot) {
        self.last_seq = snapshot.last_seq;
        self.is_queued = snapshot.task.state == TaskState::Queued;
        if self.until == Until::Now {
            return;
        }
        match &snapshot.task.waiting_on {
            Some(waiting) => self.waits(&waiting.message.clone()),
            None => self.progress.phase("the agent works"),
        }
    }

    fn waits(&mut self, why: &str) {
        self.progress.wait_for(&format!("queued: {}", print::clean_line(why)));
    }

    fn record(&mut self, record: &Record) -> anyhow::Result<()> {
        if self.show_from.is_some() {
            if transcript::input_of(record) != self.show_from {
                return Ok(());
            }
            self.show_from = None;
        }
        self.moves(record);
        if self.json {
            return print::json(record);
        }
        let lines = transcript::lines(record);
        if !lines.is_empty() {
            self.progress.aside(|| lines.iter().for_each(transcript::Line::print));
        }
        Ok(())
    }

    /// What is waited for after this record.
    fn moves(&mut self, record: &Record) {
        let RecordBody::Event { event_type, .. } = &record.body else { return };
        if self.until == Until::Now {
            return;
        }
        let what = match event_type.as_str() {
            "accepted" => "the sandbox starts",
            "started" | "turn_started" => "the agent works",
            "cancel_requested" => "the agent is being stopped",
            "task_accepted" | "task_restarted" | "retry_scheduled" => {
                self.is_queued = true;
                return;
            }
            _ => return,
        };
        self.is_queued = false;
        self.progress.phase(what);
    }

    /// Asks what a queued task waits for. No answer is no answer: the stream itself will tell.
    async fn look(&mut self) {
        if !self.is_queued || self.until == Until::Now {
            return;
        }
        if let Ok(task) = self.site.client.get_task(&self.task.to_string()).await {
            self.is_queued = task.state == TaskState::Queued;
            if let Some(waiting) = task.waiting_on {
                self.waits(&waiting.message);
            }
        }
    }

    /// Whether what is waited for is there.
    async fn over(&mut self) -> anyhow::Result<Option<Ended>> {
        let client = self.site.client.clone();
        let run_id = match self.until {
            Until::Now => return Ok(Some(Ended::Left)),
            Until::Rest => None,
            Until::Input(id) => {
                let input = client.get_input(&id.to_string()).await?;
                if input.state != InputState::Settled {
                    return Ok(None);
                }
                Some(input.run_id)
            }
        };
        let task = client.get_task(&self.task.to_string()).await?;
        let rests = !matches!(task.state, TaskState::Queued | TaskState::Running);
        if self.until == Until::Rest && !rests {
            return Ok(None);
        }
        let Some(run_id) = run_id.unwrap_or(task.target_run_id) else {
            return Ok(Some(Ended::Over(None)));
        };
        let run = client.get_run(&run_id.to_string()).await?;
        let is_over = rests || hostler_wire::status::exit_of_run(run.status).is_some();
        Ok(is_over.then(|| Ended::Over(Some(Box::new(run)))))
    }

    /// Ctrl-C or SIGTERM.
    async fn stop(&mut self, stop: Stop) -> anyhow::Result<Option<Ended>> {
        if self.on_stop == OnStop::Leave || self.is_cancelled {
            return Ok(Some(self.over.take().unwrap_or(Ended::Left)));
        }
        let can_ask = Keyboard::is_there() && !self.json && stop == Stop::Interrupt;
        let choice = if can_ask { self.choose().await } else { Choice::Cancel };
        match choice {
            Choice::GoOn => Ok(None),
            Choice::Detach => Ok(Some(Ended::Left)),
            Choice::Cancel => {
                self.is_cancelled = true;
                self.progress.wait_for("cancelling; once more leaves it at that");
                match self.site.client.cancel_task(&self.task.to_string()).await {
                    // It was over before: the stream tells how.
                    Err(error) if error.exit() == Exit::Conflict => Ok(None),
                    moved => Ok(moved.map(|_| None)?),
                }
            }
        }
    }

    async fn choose(&mut self) -> Choice {
        self.progress.pause();
        let detach = match self.site.is_embedded() {
            true => "detach (the server ends with this command; the task goes on with the next)",
            false => "detach (the task goes on)",
        };
        let question = format!("\n[d] {detach}\n[c] cancel it\n[g] go on\n? ");
        let choice = loop {
            let answer = tokio::select! {
                answer = self.keyboard.ask(&question) => answer,
                _ = self.stops.next() => Some("c".to_owned()),
            };
            match answer.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("d" | "detach") | None => break Choice::Detach,
                Some("c" | "cancel") => break Choice::Cancel,
                Some("g" | "go" | "go on" | "") => break Choice::GoOn,
                Some(_) => {}
            }
        };
        self.progress.resume();
        choice
    }

    /// Asks for an answer to the agent's question; `None` when none is given.
    pub async fn answer(&mut self) -> Option<String> {
        let answer = tokio::select! {
            answer = self.keyboard.ask("your answer (empty: later): ") => answer,
            _ = self.stops.next() => None,
        };
        answer.filter(|answer| !answer.is_empty())
    }
}

enum Read {
    Ended(Ended),
    /// On a new connection, from the cursor on.
    Again,
    Broken(Option<ClientError>),
}

enum Choice {
    Detach,
    Cancel,
    GoOn,
}
