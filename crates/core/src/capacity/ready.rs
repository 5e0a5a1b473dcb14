//! The search for ready work, over what a keeper can look up (DSP-2).
//!
//! **What** Tier by tier of priority; in a tier workspace after workspace, and of each its classes
//! in their turns. A keeper only seeks in ordered names ([`Look`]).
//!
//! **Cost** A paused workspace costs one look. A workspace costs one look for each distinct
//! [`Needs`] of its ready classes, and classes that fit no room cost nothing more; beyond that the
//! search costs what it finds, whatever the number of classes and of tasks behind them.
//!
//! **Invariants** A class gives no more than it has room for. Of many workspaces no more are
//! visited than there are places, or `limits::READY_WORKSPACES`; a later search begins after them.
//!
//! **Not here** Which workspace goes first (`engine::shares`), whether a task may really start
//! (`claim`).

use std::collections::{BTreeMap, VecDeque};

use super::needs::{Needs, Room};
use crate::id::{TaskId, WorkspaceId};
use crate::limits;
use crate::task::Priority;

/// A task that may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub task: TaskId,
    pub workspace: WorkspaceId,
    /// The workspace's share.
    pub weight: u32,
    pub priority: Priority,
}

/// What a search has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// By priority, then by workspace as visited, then by turn.
    pub candidates: Vec<Candidate>,
    /// Workspaces after this one were not visited.
    pub last: Option<WorkspaceId>,
}

/// A class with ready tasks of one priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its place among others, then its key.
    pub pass: u64,
    pub key: String,
    pub room: u32,
    /// How many of its tasks keep its place; afterwards `weight` in each turn.
    pub left: u32,
    pub weight: u32,
}

/// What a keeper can look up, each in one index. Only classes that are ready are seen.
pub trait Look {
    type Error;

    /// The next workspace above `after` that has ready classes of the priority.
    fn workspace(
        &mut self,
        priority: Priority,
        after: Option<WorkspaceId>,
    ) -> Result<Option<WorkspaceId>, Self::Error>;

    /// Its weight; `None`: nothing of it is dispatched.
    fn weight(&mut self, workspace: WorkspaceId) -> Result<Option<u32>, Self::Error>;

    /// The next signature above `after` among the workspace's ready classes of the priority.
    fn needs(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
        after: &str,
    ) -> Result<Option<String>, Self::Error>;

    /// The first `count` of those classes with the signature, by pass and key.
    fn classes(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
        needs: &str,
        count: usize,
    ) -> Result<Vec<Class>, Self::Error>;

    /// Ready tasks of a class and a priority, by `queued_at` and id: `count` after the first
    /// `offset`.
    fn tasks(
        &mut self,
        key: &str,
        priority: Priority,
        offset: usize,
        count: usize,
    ) -> Result<Vec<TaskId>, Self::Error>;
}

pub fn search<L: Look>(
    look: &mut L,
    rooms: &[Room],
    limit: usize,
    after: WorkspaceId,
) -> Result<Ready, L::Error> {
    let mut search =
        Search { look, rooms, limit, after, fits: BTreeMap::new(), given: BTreeMap::new() };
    let mut ready = Ready::default();
    for priority in Priority::ALL {
        // What would only start after others that fill every place is not looked for.
        if ready.candidates.len() >= limit {
            break;
        }
        search.tier(*priority, &mut ready)?;
    }
    Ok(ready)
}

struct Search<'a, L> {
    look: &'a mut L,
    rooms: &'a [Room],
    limit: usize,
    after: WorkspaceId,
    /// Whether a signature fits any room.
    fits: BTreeMap<String, bool>,
    /// How many tasks each class has given in the tiers before.
    given: BTreeMap<String, u32>,
}

/// A workspace with its weight and those of its signatures that fit.
type Visited = (WorkspaceId, u32, Vec<String>);

impl<L: Look> Search<'_, L> {
    fn tier(&mut self, priority: Priority, ready: &mut Ready) -> Result<(), L::Error> {
        let visited = self.visit(priority, ready)?;
        let quota = match visited.len() {
            count if count <= QUOTA_WHOLE => self.limit,
            count => (self.limit * QUOTA_WHOLE / count).max(1),
        };
        for (workspace, weight, signatures) in visited {
            let mut classes = Vec::new();
            for signature in signatures {
                classes.extend(self.look.classes(priority, workspace, &signature, quota)?);
            }
            classes.sort_by(|a, b| (a.pass, &a.key).cmp(&(b.pass, &b.key)));
            classes.truncate(quota);
            let tasks = self.take(priority, classes, quota)?;
            let candidate = |task| Candidate { task, workspace, weight, priority };
            ready.candidates.extend(tasks.into_iter().map(candidate));
        }
        Ok(())
    }

    /// The workspaces that have something that fits: from after the one where the search begins,
    /// around to it.
    fn visit(&mut self, priority: Priority, ready: &mut Ready) -> Result<Vec<Visited>, L::Error> {
        let most = self.limit.max(limits::READY_WORKSPACES);
        let mut visited: Vec<Visited> = Vec::new();
        let (mut after, mut around) = (Some(self.after), false);
        loop {
            let next = self.look.workspace(priority, after)?;
            let next = next.filter(|next| !around || *next <= self.after);
            let Some(workspace) = next else {
                if around {
                    return Ok(visited);
                }
                (after, around) = (None, true);
                continue;
            };
            if visited.len() >= most {
                ready.last = after;
                return Ok(visited);
            }
            after = Some(workspace);
            let Some(weight) = self.look.weight(workspace)? else { continue };
            let signatures = self.fitting(priority, workspace)?;
            if !signatures.is_empty() {
                visited.push((workspace, weight, signatures));
            }
        }
    }

    fn fitting(
        &mut self,
        priority: Priority,
        workspace: WorkspaceId,
    ) -> Result<Vec<String>, L::Error> {
        let (mut fitting, mut after) = (Vec::new(), String::new());
        while let Some(signature) = self.look.needs(priority, workspace, &after)? {
            let rooms = self.rooms;
            let fits = self.fits.entry(signature.clone()).or_insert_with(|| {
                let needs = Needs::read(&signature);
                needs.is_some_and(|needs| rooms.iter().any(|room| needs.fits(room)))
            });
            if *fits {
                fitting.push(signature.clone());
            }
            after = signature;
        }
        Ok(fitting)
    }

    /// Turn by turn, as if each class were claimed from in its place and went behind the others.
    fn take(
        &mut self,
        priority: Priority,
        classes: Vec<Class>,
        count: usize,
    ) -> Result<Vec<TaskId>, L::Error> {
        let mut waiting: VecDeque<Turns> = VecDeque::new();
        for class in classes {
            let given = self.given.get(&class.key).copied().unwrap_or(0);
            if class.room > given {
                waiting.push_back(Turns::new(class, given));
            }
        }
        let mut tasks = Vec::new();
        while tasks.len() < count
            && let Some(mut turns) = waiting.pop_front()
        {
            let most = (turns.left.min(turns.room) as usize).min(count - tasks.len());
            let taken = turns.take(self.look, priority, most, count)?;
            *self.given.entry(turns.key.clone()).or_default() += taken.len() as u32;
            let goes_on = taken.len() == most && turns.room > 0;
            tasks.extend(taken);
            if goes_on {
                waiting.push_back(turns);
            }
        }
        Ok(tasks)
    }
}

/// Up to so many workspaces each may have every place; of more, each gives fewer candidates, and
/// what is still free is looked for again.
const QUOTA_WHOLE: usize = 8;

/// A class as its turns go on.
struct Turns {
    key: String,
    room: u32,
    left: u32,
    weight: u32,
    read: VecDeque<TaskId>,
    read_count: usize,
}

impl Turns {
    fn new(class: Class, given: u32) -> Self {
        let Class { key, room, left, weight, pass: _ } = class;
        let weight = weight.max(1);
        // What it gave in the tiers before has used up part of its turn.
        let left = match left.max(1).checked_sub(given) {
            Some(left) if left > 0 => left,
            _ => weight,
        };
        Turns { key, room: room - given, left, weight, read: VecDeque::new(), read_count: 0 }
    }

    /// The next tasks of its turn. It reads ahead, each time as much as before.
    fn take<L: Look>(
        &mut self,
        look: &mut L,
        priority: Priority,
        most: usize,
        count: usize,
    ) -> Result<Vec<TaskId>, L::Error> {
        if self.read.len() < most {
            let ahead = most.max(self.read_count).min(count.max(most));
            let more = look.tasks(&self.key, priority, self.read_count, ahead)?;
            self.read_count += more.len();
            self.read.extend(more);
        }
        let taken: Vec<TaskId> = self.read.drain(..most.min(self.read.len())).collect();
        self.room -= taken.len() as u32;
        self.left -= taken.len() as u32;
        if self.left == 0 {
            self.left = self.weight;
        }
        Ok(taken)
    }
}
