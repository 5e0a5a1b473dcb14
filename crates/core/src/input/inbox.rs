//! The order in which waiting inputs are taken, and the turn that the next ones make (INP-2).

use super::{Input, Mode, State, state};
use crate::engine::txn::{Decided, Txn, legal};
use crate::id::{InputId, RunId};
use crate::limits;
use crate::run::Run;
use crate::task::Task;
use crate::time::Timestamp;

/// What the inbox has for the next turn.
pub(crate) enum Next {
    Nothing,
    /// Taken for this turn: one input, or several that are merged into it.
    Turn(Vec<Input>),
    /// Messages are being collected until then.
    Quiet(Timestamp),
}

/// Puts an input where its mode says: an interrupt before steers, a steer before the rest, and
/// nothing before the message that began the task.
pub(crate) fn insert(txn: &Txn<'_>, task: &mut Task, input: &Input) -> Decided<()> {
    let place = match rank(input.mode) {
        RANK_LAST => task.inbox.len(),
        rank => place_of(txn, task, rank + 1)?,
    };
    task.inbox.insert(place, input.id);
    Ok(())
}

/// The first place whose input has this rank or a later one, after the task's first message.
fn place_of(txn: &Txn<'_>, task: &Task, least: u8) -> Decided<usize> {
    for (index, id) in task.inbox.iter().enumerate() {
        let other = txn.known(txn.input(*id))?;
        if rank(other.mode) >= least && *id != task.first_input_id {
            return Ok(index);
        }
    }
    Ok(task.inbox.len())
}

const RANK_LAST: u8 = 2;

fn rank(mode: Mode) -> u8 {
    match mode {
        Mode::Interrupt => 0,
        Mode::Steer => 1,
        Mode::Queue | Mode::Followup | Mode::Collect => RANK_LAST,
    }
}

/// Takes the inputs of the next turn for a run. Collected ones at the head go together, once none
/// has come for a while or another kind waits behind them.
pub(crate) fn take(txn: &mut Txn<'_>, task: &mut Task, run: RunId) -> Decided<Next> {
    let mut group: Vec<Input> = Vec::new();
    for id in &task.inbox {
        let input = txn.known(txn.input(*id))?;
        if !group.is_empty() && !joins(&group, &input) {
            break;
        }
        group.push(input);
    }
    let Some(last) = group.last() else { return Ok(Next::Nothing) };
    let quiet_at = last.created_at + limits::COLLECT_QUIET;
    if last.mode == Mode::Collect && group.len() == task.inbox.len() && quiet_at > txn.now {
        return Ok(Next::Quiet(quiet_at));
    }
    task.inbox.drain(..group.len());
    for input in &mut group {
        give(txn, input, run);
    }
    Ok(Next::Turn(group))
}

/// Whether an input is merged into the same turn: all were collected, and together they are no
/// larger than one command may be (ACC-8).
fn joins(group: &[Input], input: &Input) -> bool {
    let all = || group.iter().chain([input]);
    let bytes: usize = all().map(|one| one.message.len() + 2).sum();
    let attachments: usize = all().map(|one| one.attachments.len()).sum();
    all().all(|one| one.mode == Mode::Collect)
        && bytes <= limits::MESSAGE_BYTES_MAX
        && attachments <= limits::ATTACHMENTS_MAX
}

/// A run takes an input.
pub(crate) fn give(txn: &mut Txn<'_>, input: &mut Input, run: RunId) {
    input.state = legal(input.state.next(state::Event::Take));
    input.run_id = Some(run);
    txn.put_input(input.clone());
}

/// An input that a run had taken and the agent had not waits again, before others of its rank.
/// Whether it was so.
pub(crate) fn take_back(txn: &mut Txn<'_>, task: &mut Task, id: InputId) -> Decided<bool> {
    let mut input = txn.known(txn.input(id))?;
    if input.state != State::Taken {
        return Ok(false);
    }
    input.state = legal(input.state.next(state::Event::Return));
    input.run_id = None;
    let place = place_of(txn, task, rank(input.mode))?;
    txn.put_input(input);
    task.inbox.insert(place, id);
    Ok(true)
}

/// The turn of a run as the agent gets it.
pub(crate) fn turn_of(txn: &Txn<'_>, run: &Run) -> Decided<Input> {
    let first = run.input_id.expect("a run that is given a turn has its input");
    let mut inputs = vec![txn.known(txn.input(first))?];
    for id in &run.merged {
        inputs.push(txn.known(txn.input(*id))?);
    }
    Ok(merged(inputs))
}

/// One message out of several, under the first one's id.
pub(crate) fn merged(inputs: Vec<Input>) -> Input {
    let mut inputs = inputs.into_iter();
    let mut first = inputs.next().expect("a turn has an input");
    for input in inputs {
        first.message.push_str("\n\n");
        first.message.push_str(&input.message);
        first.attachments.extend(input.attachments);
    }
    first
}
