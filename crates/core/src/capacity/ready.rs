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
use crate::time::Timestamp;

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
    /// Its place among others; of those in one place the one that was made first comes first.
    pub pass: u64,
    pub created_at: Timestamp,
    pub key: String,
    pub room: u32,
    /// How many of its tasks keep its place; afterwards `weight` in each turn.
    pub left: u32,
    pub weight: u32,
}

impl Class {
    fn place(&self) -> (u64, Timestamp, &str) {
        (self.pass, self.created_at, &self.key)
    }
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

    /// The first `count` of those classes with the signature, by pass, age and key.
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
            classes.sort_by(|a, b| a.place().cmp(&b.place()));
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
const QUOTA_WHOLE: usize = 4;

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
        let Class { key, room, left, weight, .. } = class;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use uuid::Uuid;

    /// Classes in memory, that count how often they are looked at and what they answer.
    #[derive(Default)]
    struct Counted {
        paused: Vec<u64>,
        /// Workspace, needs, class; each has as many tasks as it says.
        classes: Vec<(u64, Needs, Class, usize)>,
        looks: usize,
        names: usize,
    }

    impl Counted {
        fn add(&mut self, workspace: u64, pool: &str, count: usize, tasks: usize) {
            let needs = Needs { pool: pool.to_owned(), ..Needs::default() };
            for _ in 0..count {
                let pass = self.classes.len() as u64;
                let key = format!("class-{pass:05}");
                let created_at = Timestamp(0);
                let class = Class { pass, created_at, key, room: 10, left: 1, weight: 1 };
                self.classes.push((workspace, needs.clone(), class, tasks));
            }
        }

        fn answer<T>(&mut self, answer: T, names: usize) -> Result<T, Infallible> {
            self.looks += 1;
            self.names += names;
            Ok(answer)
        }

        fn search(&mut self, limit: usize) -> Ready {
            let room = Room {
                pool: "default".to_owned(),
                runtime_types: crate::policy::RuntimeType::ALL.to_vec(),
                labels: BTreeMap::new(),
                cpu_millis: None,
                memory_bytes: None,
                gpus: 0,
            };
            let Ok(ready) = search(self, &[room], limit, WorkspaceId(0));
            ready
        }
    }

    impl Look for Counted {
        type Error = Infallible;

        fn workspace(
            &mut self,
            priority: Priority,
            after: Option<WorkspaceId>,
        ) -> Result<Option<WorkspaceId>, Infallible> {
            let all = self.classes.iter().map(|class| WorkspaceId(class.0));
            let next = all.filter(|id| after.is_none_or(|after| *id > after)).min();
            self.answer(next.filter(|_| priority == Priority::Normal), 1)
        }

        fn weight(&mut self, workspace: WorkspaceId) -> Result<Option<u32>, Infallible> {
            let paused = self.paused.contains(&workspace.0);
            self.answer((!paused).then_some(1), 1)
        }

        fn needs(
            &mut self,
            _: Priority,
            workspace: WorkspaceId,
            after: &str,
        ) -> Result<Option<String>, Infallible> {
            let of = self.classes.iter().filter(|class| class.0 == workspace.0);
            let next = of.map(|class| class.1.signature()).filter(|text| **text > *after).min();
            self.answer(next, 1)
        }

        fn classes(
            &mut self,
            _: Priority,
            workspace: WorkspaceId,
            needs: &str,
            count: usize,
        ) -> Result<Vec<Class>, Infallible> {
            let fits = |class: &&(u64, Needs, Class, usize)| {
                class.0 == workspace.0 && class.1.signature() == needs
            };
            let classes = self.classes.iter().filter(fits).map(|class| class.2.clone());
            let classes: Vec<Class> = classes.take(count).collect();
            let names = classes.len();
            self.answer(classes, names)
        }

        fn tasks(
            &mut self,
            key: &str,
            _: Priority,
            offset: usize,
            count: usize,
        ) -> Result<Vec<TaskId>, Infallible> {
            let class = self.classes.iter().find(|class| class.2.key == key);
            let (pass, all) = class.map_or((0, 0), |class| (class.2.pass, class.3));
            let tasks = (offset..all).take(count);
            let tasks = tasks.map(|number| TaskId(Uuid::from_u64_pair(pass, number as u64)));
            let tasks: Vec<TaskId> = tasks.collect();
            let names = tasks.len();
            self.answer(tasks, names)
        }
    }

    #[test]
    fn a_paused_workspace_costs_two_looks_whatever_it_has() {
        let mut with = Counted { paused: vec![1], ..Counted::default() };
        with.add(1, "default", 1_000, 1_000);
        with.add(2, "default", 1, 1);
        let mut without = Counted::default();
        without.add(2, "default", 1, 1);
        assert_eq!(with.search(10).candidates.len(), 1);
        assert_eq!(without.search(10).candidates.len(), 1);
        // To find it, to see that it is paused; and it is passed once more on the way around.
        assert!(with.looks - without.looks <= 3, "{} and {}", with.looks, without.looks);
    }

    #[test]
    fn classes_that_fit_nobody_cost_one_look_together() {
        let mut with = Counted::default();
        with.add(1, "default", 1, 1);
        with.add(1, "gpu", 1_000, 1_000);
        let mut without = Counted::default();
        without.add(1, "default", 1, 1);
        assert_eq!(with.search(10), without.search(10));
        assert_eq!(with.looks, without.looks + 1);
    }

    #[test]
    fn the_cost_is_what_is_found_whatever_waits_behind_it() {
        let mut costs = Vec::new();
        for backlog in [100, 10_000] {
            let mut all = Counted::default();
            all.add(1, "default", backlog, backlog);
            all.add(2, "default", backlog, backlog);
            assert_eq!(all.search(4).candidates.len(), 8);
            costs.push((all.looks, all.names));
        }
        assert_eq!(costs[0], costs[1]);
        assert!(costs[0].1 <= 40, "{costs:?}");
    }

    #[test]
    fn a_deep_class_by_itself_is_read_in_a_few_goes() {
        let mut all = Counted::default();
        all.add(1, "default", 1, 10_000);
        all.classes[0].2.room = 1_000;
        let ready = all.search(500);
        let ids: Vec<u64> = ready.candidates.iter().map(|one| one.task.0.as_u64_pair().1).collect();
        assert_eq!(ids, (0..500).collect::<Vec<_>>());
        assert!(all.looks < 40, "{}", all.looks);
        assert!(all.names < 1_200, "{}", all.names);
    }
}
