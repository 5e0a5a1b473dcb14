//! Two servers on one store: what each decides is guarded by what it has read.

use hostler_core::batch::Batch;
use hostler_core::command::{Answer, Command};
use hostler_core::engine::{Config, Engine, Input, Output, Refused, StoreFailure};
use hostler_core::time::Timestamp;
use hostler_core::workspace::manage::CreateWorkspace;
use hostler_store::Store;
use hostler_store::memory::Memory;

const NOW: Timestamp = Timestamp(1_000_000);

fn server(seed: u64) -> Engine {
    Engine::new(Config::default(), NOW, seed).on_shared_store()
}

/// What an engine comes to: a batch that is to be committed, or its answer.
#[derive(Debug)]
enum Step {
    Commit(Batch),
    Reply(Result<Answer, Refused>),
}

fn drive(engine: &mut Engine, store: &Memory) -> Step {
    loop {
        let input = match engine.poll() {
            Output::Load(keys) => Input::Loaded(store.load(&keys).expect("it loads")),
            Output::Find(find) => {
                let found = store.find(&find).expect("it is searched");
                Input::Found(find, found)
            }
            Output::Commit(batch) => return Step::Commit(batch),
            Output::Reply(_, result) => return Step::Reply(result),
            other => panic!("nothing else is asked for: {other:?}"),
        };
        engine.handle(input, NOW);
    }
}

fn commit(engine: &mut Engine, store: &Memory, batch: &Batch) {
    let input = match store.commit(batch) {
        Ok(committed) => Input::Committed(committed),
        Err(_) => Input::Failed(StoreFailure::Conflict),
    };
    engine.handle(input, NOW);
}

/// Both decide before either writes; the second one writes first.
fn make_at_once(first: &str, second: &str) -> (Result<Answer, Refused>, Result<Answer, Refused>) {
    let store = Memory::new();
    store.migrate().expect("the memory keeper takes its first row");
    let (mut one, mut two) = (server(1), server(2));
    for (engine, key) in [(&mut one, first), (&mut two, second)] {
        let create = Box::new(CreateWorkspace { key: Some(key.to_owned()) });
        let command = Command::CreateWorkspace { create };
        engine.handle(Input::Ask { ticket: 1, command, seed: 9 }, NOW);
    }
    let Step::Commit(of_one) = drive(&mut one, &store) else { panic!("it writes") };
    let Step::Commit(of_two) = drive(&mut two, &store) else { panic!("it writes") };
    commit(&mut two, &store, &of_two);
    let Step::Reply(two) = drive(&mut two, &store) else { panic!("it answers") };
    commit(&mut one, &store, &of_one);
    let one = loop {
        match drive(&mut one, &store) {
            Step::Commit(batch) => commit(&mut one, &store, &batch),
            Step::Reply(reply) => break reply,
        }
    };
    (one, two)
}

#[test]
fn workspaces_made_at_once_have_numbers_of_their_own() {
    let (Ok(Answer::Workspace(one)), Ok(Answer::Workspace(two))) = make_at_once("x", "y") else {
        panic!("both are made")
    };
    assert_eq!((one.id.0, one.key.as_str()), (3, "x"));
    assert_eq!((two.id.0, two.key.as_str()), (2, "y"));
}

#[test]
fn of_two_workspaces_with_one_key_one_is_refused() {
    let (one, two) = make_at_once("x", "x");
    assert!(two.is_ok(), "{two:?}");
    let Err(Refused::Rejected(no)) = one else { panic!("{one:?}") };
    assert_eq!(no.code.as_str(), "workspace_exists");
}
