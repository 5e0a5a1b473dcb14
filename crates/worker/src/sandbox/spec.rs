//! # Checking a spec
//!
//! **What** What can be refused before anything is made.
//!
//! **Invariants** Past this, no text of a spec can be taken for an option or for another path, and
//! every host path is absolute and was there.
//!
//! **Failure** [`StartError::Invalid`], naming the value.
//!
//! **Not here** Whether the program is there (`handshake`): that is seen inside.

use std::path::{Component, Path};

use super::{Spec, StartError, Workspace, view};

pub(super) fn check(spec: &Spec) -> Result<(), StartError> {
    let invalid = |text: String| Err(StartError::Invalid(text));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if spec.id.is_empty() || spec.id.starts_with(['.', '-']) || !spec.id.chars().all(plain) {
        return invalid(format!("id {:?}: only letters, digits, '-', '_' and '.'", spec.id));
    }
    match spec.argv.first() {
        None => return invalid("no program".to_owned()),
        Some(program) if program.is_empty() || program.starts_with('-') => {
            return invalid(format!("program {program:?}"));
        }
        Some(_) => {}
    }
    for (name, value) in &spec.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return invalid(format!("environment variable {name:?}"));
        }
    }
    if spec.argv.iter().any(|argument| argument.contains('\0')) {
        return invalid("a zero byte in an argument".to_owned());
    }
    for path in spec.binds.iter().map(|bind| &bind.inside).chain([&spec.cwd]) {
        if !is_clean(Path::new(path)) {
            return invalid(format!("{path:?}: not an absolute path without '..'"));
        }
    }
    if !is_clean(&spec.scratch) {
        return invalid(format!("{:?}: not an absolute path without '..'", spec.scratch));
    }
    if let Some(socket) = &spec.model_socket
        && !socket.ends_with("model.sock")
    {
        return invalid(format!("{}: not named model.sock", socket.display()));
    }
    let binds = view::binds(spec);
    let workspace = match &spec.workspace {
        Workspace::None => None,
        Workspace::Ro(folder) | Workspace::Rw(folder) => Some(folder),
    };
    for host in binds.iter().map(|bind| &bind.host).chain(workspace) {
        if !host.is_absolute() || host.to_str().is_none_or(|text| text.contains('\0')) {
            return invalid(format!("{host:?}: not an absolute path in UTF-8"));
        }
        if let Err(error) = host.metadata() {
            return invalid(format!("{}: {error}", host.display()));
        }
    }
    Ok(())
}

fn is_clean(path: &Path) -> bool {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    let text = path.to_str().is_some_and(|text| !text.contains('\0'));
    text && path.is_absolute() && path.components().all(plain)
}
