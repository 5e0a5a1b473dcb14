//! What became of each message that an execution has got: whether one that comes is new.

use std::collections::BTreeMap;

use hostler_core::id::InputId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The process has it and has not begun it.
    Given,
    /// It leads the running turn.
    Running,
    Injected,
    Ended,
    /// It ended before its start; once the server knows that, it may come again as a turn.
    NotTaken,
    /// The process will not take it as a steer; it may come again as a turn.
    Returned,
}

#[derive(Default)]
pub struct Messages {
    /// With the word whether the server knows how it ended.
    all: BTreeMap<InputId, (Standing, bool)>,
}

impl Messages {
    pub fn standing(&self, id: InputId) -> Option<Standing> {
        self.all.get(&id).map(|(standing, _)| *standing)
    }

    pub fn set(&mut self, id: InputId, standing: Standing) {
        self.all.insert(id, (standing, false));
    }

    /// The server knows that it is done with.
    pub fn settle(&mut self, id: InputId) {
        if let Some((standing, is_settled)) = self.all.get_mut(&id) {
            *is_settled = !matches!(standing, Standing::Given | Standing::Running);
            if *standing == Standing::NotTaken {
                *standing = Standing::Returned;
            }
        }
    }

    pub fn held(&self) -> Vec<InputId> {
        let held = self.all.iter().filter(|(_, (_, is_settled))| !is_settled);
        held.map(|(id, _)| *id).collect()
    }
}
