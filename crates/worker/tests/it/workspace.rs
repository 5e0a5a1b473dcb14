//! Which folders a task may have.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use hostler_worker::config::Dirs;
use hostler_worker::sandbox::Workspace;
use hostler_worker::workspace::{Access, Error, Keeper};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    data_dir: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().canonicalize().expect("a path").join("data");
        fs::create_dir(&data_dir).expect("a folder");
        Place { folder, data_dir }
    }

    fn keeper(&self, dirs: Dirs) -> Keeper {
        Keeper::new(&self.data_dir, dirs).expect("it exists")
    }

    fn make(&self, name: &str) -> PathBuf {
        let path = self.folder.path().canonicalize().expect("a path").join(name);
        fs::create_dir_all(&path).expect("a folder");
        path
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Refused(refusal)) => refusal.0,
        other => panic!("not refused: {other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn each_workspace_has_its_own_folder_that_only_the_worker_can_enter() {
    let place = Place::new();
    let keeper = place.keeper(Dirs::None);
    let folder = keeper.folder("default", None).expect("a folder");
    assert_eq!(folder, place.data_dir.join("workspaces/default"));
    assert_eq!(mode(&folder), 0o700);
    for name in ["../../up", "/etc", "..", "a/b", ""] {
        let other = keeper.folder(name, None).expect("a folder");
        assert_eq!(other.parent(), Some(place.data_dir.join("workspaces").as_path()), "{name:?}");
        assert_ne!(other, folder);
    }
}

#[test]
fn a_sessions_state_is_found_again_and_shared_with_nobody() {
    let place = Place::new();
    let state = |keeper: &Keeper, workspace: &str, session: &str, agent: &str| {
        keeper.state(workspace, session, agent).expect("a folder")
    };
    let keeper = place.keeper(Dirs::None);
    let one = state(&keeper, "w", "../s", "a");
    assert!(one.starts_with(place.data_dir.join("sessions")));
    assert_eq!(mode(&one), 0o700);
    fs::write(one.join("kept"), "").expect("a file");
    let after_a_restart = place.keeper(Dirs::None);
    assert!(state(&after_a_restart, "w", "../s", "a").join("kept").exists());
    let others = [("w", "../s", "b"), ("w", "../s2", "a"), ("v", "../s", "a"), ("w", "../sa", "")];
    for (workspace, session, agent) in others {
        assert_ne!(state(&keeper, workspace, session, agent), one);
    }
}

#[test]
fn a_folder_is_offered_only_where_the_worker_allows_it() {
    let place = Place::new();
    let (project, other) = (place.make("project/src"), place.make("other"));
    let text = |path: &Path| path.to_str().expect("a text").to_owned();
    let none = place.keeper(Dirs::None);
    assert!(refusal(none.folder("w", Some(&text(&project)))).contains("does not let"));
    let under = place.keeper(Dirs::Under(vec![place.make("project")]));
    assert_eq!(under.folder("w", Some(&text(&project))).expect("allowed"), project);
    assert!(refusal(under.folder("w", Some(&text(&other)))).contains("does not let"));
    symlink(&other, place.folder.path().join("project/link")).expect("a link");
    let linked = text(&place.folder.path().join("project/link"));
    assert!(refusal(under.folder("w", Some(&linked))).contains("does not let"));
    let climbs = format!("{}/../../other", text(&project));
    assert!(refusal(under.folder("w", Some(&climbs))).contains("does not let"));
}

#[test]
fn some_folders_are_never_a_workspace() {
    let place = Place::new();
    let any = place.keeper(Dirs::Any);
    let file = place.folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let below = place.data_dir.join("sessions");
    fs::create_dir(&below).expect("a folder");
    for dir in [
        Path::new("/"),
        Path::new("/proc/self"),
        Path::new("relative"),
        &file,
        &below,
        &place.data_dir,
        &place.folder.path().join("absent"),
        Path::new("/tmp/.."),
    ] {
        refusal(any.folder("w", dir.to_str()));
    }
}

#[test]
fn the_agents_folder_is_made_below_the_workspace_and_nowhere_else() {
    let place = Place::new();
    let keeper = place.keeper(Dirs::Any);
    let folder = keeper.folder("w", None).expect("a folder");
    let room = keeper.room(&folder, "/workspace/agents/demo", Access::Rw).expect("room");
    assert_eq!(room.workspace, Workspace::Rw(folder.clone()));
    assert_eq!(room.cwd, "/workspace/agents/demo");
    assert!(folder.join("agents/demo").is_dir());
    let outside = place.make("outside");
    symlink(&outside, folder.join("link")).expect("a link");
    for cwd in ["/workspace/link/x", "/workspace/link", "/etc", "/workspace/../etc", "/workspaces"]
    {
        refusal(keeper.room(&folder, cwd, Access::Ro));
    }
    assert_eq!(fs::read_dir(&outside).expect("a folder").count(), 0);
    let room = keeper.room(&folder, "/workspace/agents/new", Access::None).expect("room");
    assert_eq!((room.workspace, room.cwd.as_str()), (Workspace::None, "/workspace"));
    assert!(!folder.join("agents/new").exists());
}

#[test]
fn a_folder_that_holds_the_workers_data_is_refused() {
    let place = Place::new();
    let keeper = place.keeper(Dirs::Any);
    let top = place.folder.path().canonicalize().expect("a path");
    for offered in [top.parent().expect("a folder"), &top] {
        let refused = refusal(keeper.folder("w", offered.to_str()));
        assert!(refused.contains("the worker's own data"), "{refused}");
    }
}
