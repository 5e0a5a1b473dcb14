//! # Mutants
//!
//! **What** Worlds in which one rule is taken away: at the seams, where the simulation stands in
//! for the store, the driver or the worker, so that the engine itself stays as it is. Each names
//! the checkers of which one must say so.
//!
//! **Not here** Rules that only the engine could break; its own assertions guard those, and the
//! cases in `core/tests` look at them one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use hostler_core::batch::{Batch, Committed, Due, Find, Found, Write};
use hostler_core::capacity::claim::Assignment;
use hostler_core::capacity::ready::Candidate;
use hostler_core::engine::PushKind;
use hostler_core::id::{RunId, TaskId};
use hostler_core::input;
use hostler_core::key::{Key, Loaded, Row};
use hostler_core::run;
use hostler_core::stream::Body;
use hostler_core::task;
use hostler_core::time::Span;
use hostler_store::memory::Memory;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::fault::Faults;

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident by $($checker:literal)|+;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant { $($(#[$doc])* $name),* }

        impl Mutant {
            pub const ALL: &[Mutant] = &[$(Mutant::$name),*];

            /// The checkers that guard the rule; `engine` is an assertion of its own.
            pub fn checkers(self) -> &'static [&'static str] {
                match self { $(Mutant::$name => &[$($checker),+]),* }
            }
        }
    };
}

mutants! {
    /// The store writes whatever the versions are.
    GuardsAreIgnored by "cap" | "lease" | "once" | "order" | "lost";
    /// The store says yes and writes nothing.
    CommitIsDropped by "reply" | "lost" | "order" | "once";
    /// The driver says yes before the store has.
    ReplyComesBeforeCommit by "reply";
    ReplyIsLost by "lost";
    ReplyTwice by "reply";
    AppendIsDropped by "order" | "reply";
    AppendIsDoubled by "order";
    SnapshotIsDropped by "order";
    TerminalRunRevives by "order";
    CountDrifts by "cap";
    CapIsIgnored by "cap";
    InputIsSettledTwice by "once";
    InputIsGivenTwice by "once";
    InputIsTakenByTwoRuns by "once";
    ReceiptIsDropped by "once";
    InboxForgets by "lost";
    CancelIsForgotten by "lost" | "reply";
    LiveRunIsForgotten by "lease";
    TermStands by "lease";
    /// The lease of an execution that was settled is believed in.
    OldLeaseIsBelieved by "order" | "lease" | "cap" | "engine";
    LeaseOutlivesItsAttempt by "lease";
    LeaseEndsEarly by "lease" | "once";
    FenceIsIgnored by "lease" | "input" | "once";
    /// Nobody ends the agents of a worker that stands still.
    GuardianSleeps by "lease";
    AssignmentIsTakenTwice by "once";
    ChunksAreNumberedAnew by "order";
    WaiterIsForgotten by "cap";
    WaiterIsCountedTwice by "cap";
    RunIsOkWithoutATurn by "lost";
    LeasesAreForgotten by "lost" | "lease" | "turn";
    DueIsForgotten by "lost";
    /// No interrupt is kept.
    InterruptIsForgotten by "turn";
    /// No interrupt arrives, however often it is said.
    InterruptIsLost by "turn";
    InterruptIsNotObeyed by "turn";
    /// An interrupt that comes late stops the next turn.
    InterruptIsForAnyTurn by "input" | "turn";
    CloseIsLost by "lost" | "turn";
    /// A further turn never arrives.
    TurnIsNeverGiven by "lost" | "turn";
    SteerIsGivenTwice by "once";
    SteerIsForgotten by "turn";
    /// A steer that was confirmed stays on its way.
    SteerIsKept by "turn";
    CollectSplits by "turn";
    WrongRunIsAccepted by "input";
    InboxIsTurnedAbout by "inbox";
    InputJumpsTheQueue by "inbox";
    InputIsTakenOutOfTurn by "inbox";
    WithdrawIsForgotten by "lost";
    WithdrawnIsDelivered by "once";
    TurnIsCalledInjected by "input";
    TurnIsCalledWithdrawn by "input";
    /// Reports of one process are decided in another order than they came in.
    ReportsOvertake by "reply" | "input" | "once" | "turn";
    IdleIsForgotten by "turn" | "lost";
    IdleIsNotCounted by "cap";
    EvictionIsForgotten by "cap";
    /// A task whose process waits for input is called running.
    WaitingIsCalledRunning by "turn" | "lost";
    /// The keys that ticks fire under are forgotten.
    TickFiresTwice by "schedule" | "once";
    /// A schedule goes on by two ticks.
    TickIsForgotten by "schedule";
    /// A schedule forgets its open tasks.
    OverlapIsIgnored by "schedule";
    ScheduleIsNotAdvanced by "schedule";
    BudgetIsNotCharged by "budget";
    BudgetHoldIsForgotten by "health";
    FailureIsNotCounted by "health";
    /// Classes that were held back are not found when their time has come.
    ProbeIsForgotten by "health" | "lost";
    PauseIsIgnored by "pause";
    ReservedDrifts by "cap";
    ReadyCountDrifts by "cap";
    TrimLeavesNoGap by "order";
    TrimGoesTooFar by "order";
    /// Tasks that have rested long enough are not found.
    RestedIsForgotten by "order" | "lost";
}

impl Mutant {
    /// Trouble that brings the rule into play.
    pub fn faults(self, dice: &mut Dice) -> Faults {
        let mut faults = Faults::drawn(dice);
        match self {
            Mutant::FenceIsIgnored | Mutant::LeasesAreForgotten => {
                faults.partition = 150;
                faults.kill = 60;
            }
            Mutant::GuardianSleeps => faults.freeze = 150,
            Mutant::InterruptIsForAnyTurn => faults.late = 2_000,
            Mutant::AssignmentIsTakenTwice | Mutant::OldLeaseIsBelieved => {
                faults.cut = 200;
                faults.late = 1_500;
            }
            Mutant::ReceiptIsDropped => {
                faults.double = 2_000;
                faults.lose = 1_000;
            }
            _ => {}
        }
        faults
    }

    /// What is said to a running execution never arrives.
    pub fn loses(self, what: &PushKind) -> bool {
        match what {
            PushKind::Interrupt { .. } => self == Mutant::InterruptIsLost,
            PushKind::Close(_) => self == Mutant::CloseIsLost,
            PushKind::Give { steer: false, .. } => self == Mutant::TurnIsNeverGiven,
            PushKind::Assign(_) | PushKind::Cancel(_) | PushKind::Give { .. } => false,
        }
    }

    /// A task's withdrawn input is assigned in place of the one that is its turn.
    pub fn spoil_assignment(self, assignment: &mut Assignment, memory: &Memory) {
        if self == Mutant::WithdrawnIsDelivered {
            memory.each(|_, _, row| match row {
                Row::Input(input)
                    if input.task_id == assignment.task.id
                        && input.outcome == Some(input::Outcome::Withdrawn) =>
                {
                    assignment.input = input.clone();
                }
                _ => {}
            });
        }
    }

    pub fn spoil_loaded(self, rows: &mut [Loaded], kept: &[Loaded]) {
        for (key, row) in rows {
            match (self, row) {
                (Mutant::CapIsIgnored, Some((_, Row::Instance(instance)))) => {
                    instance.concurrency += 40;
                }
                // A task's inputs as its rule reads them, but for the first.
                (Mutant::InputIsTakenOutOfTurn, Some((_, Row::Task(task))))
                    if task.inbox.len() > 1 =>
                {
                    task.inbox.rotate_left(1);
                }
                (Mutant::PauseIsIgnored, Some((_, Row::Workspace(workspace)))) => {
                    workspace.paused = false;
                }
                (Mutant::OldLeaseIsBelieved, row @ None) => {
                    let old = kept.iter().find(|(old, _)| old == key);
                    *row = old.and_then(|(_, row)| row.clone());
                }
                _ => {}
            }
        }
    }

    pub fn spoil_found(self, find: &Find, found: &mut Found, memory: &Memory) {
        match (self, found) {
            (Mutant::WaiterIsForgotten, Found::Waiters(tasks)) => tasks.clear(),
            (Mutant::LeasesAreForgotten, Found::Leases(leases))
                if matches!(find, Find::Leases { .. }) =>
            {
                leases.clear();
            }
            (Mutant::EvictionIsForgotten, Found::Leases(leases))
                if matches!(find, Find::Idle { .. }) =>
            {
                leases.clear();
            }
            (Mutant::IdleIsForgotten, Found::Due { due, .. }) => {
                due.retain(|one| !matches!(one, Due::Lease(_)));
            }
            (Mutant::DueIsForgotten, Found::Due { due, .. }) => {
                due.retain(|one| !matches!(one, Due::Task(_)));
            }
            (Mutant::ProbeIsForgotten, Found::Due { due, .. }) => {
                due.retain(|one| !matches!(one, Due::Instance(_)));
            }
            (Mutant::RestedIsForgotten, Found::Rested(tasks)) => tasks.clear(),
            (Mutant::CapIsIgnored | Mutant::PauseIsIgnored, Found::Ready(ready)) => {
                let Find::Ready { limit, .. } = find else { return };
                let found: BTreeSet<TaskId> = ready.candidates.iter().map(|one| one.task).collect();
                memory.each(|_, _, row| match row {
                    Row::Task(task) if task.is_ready() && !found.contains(&task.id) => {
                        ready.candidates.push(candidate(task));
                    }
                    _ => {}
                });
                ready.candidates.truncate(*limit);
            }
            _ => {}
        }
    }

    /// Some: it is answered so, and nothing is written.
    pub fn spoil_batch(self, disk: &mut Disk, batch: &mut Batch) -> Option<Committed> {
        disk.batch_count += 1;
        let count = disk.batch_count;
        match self {
            Mutant::CommitIsDropped if count.is_multiple_of(7) => {
                let last_seqs = vec![1; batch.appends.len()];
                return Some(Committed { last_seqs, trims_done: vec![true; batch.trims.len()] });
            }
            Mutant::GuardsAreIgnored => {
                for write in &mut batch.writes {
                    write.expect = version(disk, &write.key);
                }
            }
            Mutant::AppendIsDropped | Mutant::AppendIsDoubled => self.spoil_appends(batch),
            Mutant::SnapshotIsDropped if count.is_multiple_of(5) => {
                batch.writes.retain(|write| !matches!(write.key, Key::Snapshot(..)));
            }
            Mutant::TickFiresTwice => batch.writes.retain(|write| match &write.key {
                Key::Receipt(_, _, key) => !key.starts_with("schedule:"),
                _ => true,
            }),
            Mutant::TrimGoesTooFar => {
                for trim in &mut batch.trims {
                    trim.to_seq = trim.to_seq.saturating_add(3);
                }
            }
            Mutant::ReceiptIsDropped => {
                batch.writes.retain(|write| !matches!(write.key, Key::Receipt(..)));
            }
            Mutant::LeaseOutlivesItsAttempt => {
                let is_removed = |write: &Write| write.row.is_none();
                batch.writes.retain(|one| !matches!(one.key, Key::Lease(_)) || !is_removed(one));
            }
            Mutant::TerminalRunRevives | Mutant::InputIsSettledTwice => {
                self.write_again(disk, batch);
            }
            Mutant::OldLeaseIsBelieved => believe(disk, batch),
            _ => {
                for write in &mut batch.writes {
                    let before = disk.row(write.key.clone());
                    if let Some(row) = &mut write.row {
                        self.spoil_row(count, before.as_ref(), Arc::make_mut(row));
                    }
                }
            }
        }
        None
    }

    fn spoil_appends(self, batch: &mut Batch) {
        for append in &mut batch.appends {
            let is_log = |body: &Body| matches!(body, Body::Log { .. });
            match self {
                Mutant::AppendIsDropped => append.records.retain(|one| !is_log(&one.body)),
                _ => {
                    let again = append.records.clone();
                    append.records.extend(again.into_iter().filter(|one| is_log(&one.body)));
                }
            }
        }
    }

    fn spoil_row(self, count: u64, before: Option<&Row>, row: &mut Row) {
        match (self, row) {
            (Mutant::CountDrifts, Row::Instance(instance)) if count.is_multiple_of(5) => {
                instance.queued += 1;
            }
            (Mutant::CapIsIgnored, Row::Instance(instance)) => {
                if let Some(Row::Instance(before)) = before {
                    instance.concurrency = before.concurrency;
                }
            }
            (Mutant::InputIsTakenByTwoRuns, Row::Input(input))
                if input.outcome == Some(input::Outcome::Turn) =>
            {
                input.run_id = Some(RunId(uuid::Uuid::nil()));
            }
            (Mutant::WaiterIsCountedTwice, Row::Session(session)) if session.waiter_count > 0 => {
                session.waiter_count += 1;
            }
            (Mutant::RunIsOkWithoutATurn, Row::Run(run)) => run.turn_count = 0,
            (Mutant::InboxForgets, Row::Task(task)) if task.inbox.len() > 1 => {
                task.inbox.pop();
            }
            (Mutant::CancelIsForgotten, Row::Task(task)) if task.state == task::State::Running => {
                task.cancel_requested_at = None;
            }
            (Mutant::InterruptIsForgotten, Row::Lease(lease)) => lease.interrupted = false,
            (Mutant::SteerIsForgotten, Row::Lease(lease)) => lease.steers.clear(),
            (Mutant::SteerIsKept, Row::Lease(lease)) => {
                if let Some(Row::Lease(before)) = before
                    && before.turn == lease.turn
                    && before.steers.len() > lease.steers.len()
                {
                    lease.steers.clone_from(&before.steers);
                }
            }
            (Mutant::CollectSplits, Row::Run(run)) => drop(run.merged.pop()),
            (Mutant::InboxIsTurnedAbout, Row::Task(task)) if task.inbox.len() > 1 => {
                task.inbox.reverse();
            }
            (Mutant::InputJumpsTheQueue, Row::Task(task)) => {
                if let Some(Row::Task(before)) = before
                    && before.inbox.len() == 2
                    && task.inbox.len() == 3
                {
                    task.inbox.rotate_right(1);
                }
            }
            (Mutant::WithdrawIsForgotten, Row::Input(input))
                if input.outcome == Some(input::Outcome::Withdrawn) =>
            {
                if let Some(Row::Input(before)) = before {
                    input.clone_from(before);
                }
            }
            (Mutant::TurnIsCalledInjected, Row::Input(input))
                if input.outcome == Some(input::Outcome::Turn) =>
            {
                input.outcome = Some(input::Outcome::Injected);
            }
            (Mutant::TurnIsCalledWithdrawn, Row::Input(input))
                if input.outcome == Some(input::Outcome::Turn) =>
            {
                input.outcome = Some(input::Outcome::Withdrawn);
            }
            (Mutant::IdleIsNotCounted, Row::Instance(instance)) => instance.idle = 0,
            (Mutant::WaitingIsCalledRunning, Row::Task(task))
                if task.state == task::State::Waiting =>
            {
                task.state = task::State::Running;
            }
            (Mutant::TickIsForgotten, Row::Schedule(schedule)) => {
                if let (Some(Row::Schedule(before)), Some(next)) = (before, schedule.next_run_at)
                    && before.next_run_at.is_some_and(|old| old < next)
                {
                    schedule.next_run_at = Some(next + Span::seconds(60));
                }
            }
            (Mutant::OverlapIsIgnored, Row::Schedule(schedule)) => schedule.open_tasks.clear(),
            (Mutant::ScheduleIsNotAdvanced, Row::Schedule(schedule)) => {
                if let Some(Row::Schedule(before)) = before
                    && before.active
                    && schedule.active
                {
                    schedule.next_run_at = before.next_run_at;
                }
            }
            (Mutant::BudgetIsNotCharged, Row::Account(account)) => {
                if let Some(Row::Account(before)) = before
                    && before.since == account.since
                {
                    account.clone_from(before);
                }
            }
            (Mutant::BudgetHoldIsForgotten, Row::Instance(instance)) => instance.held_until = None,
            (Mutant::FailureIsNotCounted, Row::Instance(instance)) => {
                instance.failed_attempts = 0;
            }
            (Mutant::ReservedDrifts, Row::Worker(worker)) => worker.reserved.cpu_millis += 1,
            (Mutant::ReadyCountDrifts, Row::Instance(instance)) if count.is_multiple_of(5) => {
                instance.ready[0] += 1;
            }
            (Mutant::LiveRunIsForgotten, Row::Session(session)) => session.live_run = None,
            (Mutant::TermStands, Row::Session(session)) => session.term = session.term.min(1),
            (Mutant::TermStands, Row::Lease(lease)) => lease.term = 1,
            _ => {}
        }
    }

    /// Keeps a row that is never to change, and changes it at the next chance.
    fn write_again(self, disk: &mut Disk, batch: &mut Batch) {
        if let Some((key, _)) = disk.kept.first().cloned() {
            if batch.writes.iter().any(|write| write.key == key) {
                return;
            }
            disk.kept.clear();
            let expect = version(disk, &key);
            let row = disk.row(key.clone()).map(|row| match row {
                Row::Run(mut run) => {
                    run.error = Some("again".to_owned());
                    Row::Run(run)
                }
                Row::Input(mut input) => {
                    input.outcome = Some(input::Outcome::Dropped);
                    Row::Input(input)
                }
                other => other,
            });
            batch.writes.push(Write { key, expect, row: row.map(Arc::new) });
            return;
        }
        let is_final = |row: &Row| match row {
            Row::Run(run) => self == Mutant::TerminalRunRevives && run.status == run::Status::Ok,
            Row::Input(input) => {
                self == Mutant::InputIsSettledTwice && input.outcome == Some(input::Outcome::Turn)
            }
            _ => false,
        };
        let found = batch.writes.iter().find(|write| write.row.as_deref().is_some_and(is_final));
        disk.kept.extend(found.map(|write| (write.key.clone(), None)));
    }
}

fn candidate(task: &task::Task) -> Candidate {
    Candidate { task: task.id, workspace: task.workspace_id, weight: 1, priority: task.priority }
}

fn version(disk: &Disk, key: &Key) -> Option<u64> {
    let rows = disk.loaded(std::slice::from_ref(key));
    rows.into_iter().next().and_then(|(_, row)| row).map(|(version, _)| version)
}

/// Keeps the leases that are removed, and lets writes under them pass.
fn believe(disk: &mut Disk, batch: &mut Batch) {
    for write in &mut batch.writes {
        if let Key::Lease(_) = write.key {
            let now = version(disk, &write.key);
            match (&write.row, now) {
                (None, Some(_)) => {
                    let row = disk.loaded(std::slice::from_ref(&write.key));
                    disk.kept.extend(row);
                }
                _ => write.expect = now,
            }
        }
    }
}
