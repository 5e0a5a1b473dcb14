//! How a command ends when it cannot do what was asked.
//!
//! **What** [`Fault`] is a "no" of the command line itself; a [`ClientError`] is one of the server
//! or of the way there. [`report`] prints either, and says which exit code it is.
//!
//! **Invariants** With `--json` every error is one [`Problem`], whoever found it.

use std::fmt;

use hostler_wire::client::ClientError;
use hostler_wire::json::{Changed, Problem};
use hostler_wire::status::Exit;

use crate::print;

/// A "no" that no server was needed for.
#[derive(Debug)]
pub struct Fault {
    pub exit: Exit,
    pub detail: String,
}

impl Fault {
    /// The command line is wrong.
    pub fn usage(detail: impl Into<String>) -> Fault {
        Fault { exit: Exit::Usage, detail: detail.into() }
    }

    pub fn not_found(detail: impl Into<String>) -> Fault {
        Fault { exit: Exit::NotFound, detail: detail.into() }
    }

    pub fn unavailable(detail: impl Into<String>) -> Fault {
        Fault { exit: Exit::Unavailable, detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Fault {}

/// Prints an error and gives the exit code it stands for.
pub fn report(error: &anyhow::Error, json: bool) -> Exit {
    let exit = exit(error);
    let problem = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Problem(problem)) => (**problem).clone(),
        // What is between the first cause and the last is the library's own affair.
        Some(client) => local(exit, first_and_last(client)),
        None => local(exit, chain(error)),
    };
    if json {
        let text = serde_json::to_string(&problem).unwrap_or_else(|_| problem.to_string());
        print::err(text);
        return exit;
    }
    let field = match &problem.field {
        Some(field) if !problem.detail.contains(field.as_str()) => format!("{field}: "),
        _ => String::new(),
    };
    let detail = print::clean(&problem.detail);
    let code = print::clean(&problem.code);
    print::err(format!("{} {field}{detail} ({code})", print::red("error:")));
    if let Some(id) = &problem.request_id {
        print::err(print::dim(&format!("request {}", print::clean(id))));
    }
    exit
}

fn exit(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return error.exit();
    }
    // Whatever else happens here (a disk, a port) may be better next time.
    error.downcast_ref::<Fault>().map_or(Exit::Unavailable, |fault| fault.exit)
}

/// The causes in one line, each once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn first_and_last(error: &ClientError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let (text, last) = (error.to_string(), last.to_string());
    if text == last { text } else { format!("{text}: {last}") }
}

fn local(exit: Exit, detail: String) -> Problem {
    let (code, status) = match exit {
        Exit::Ok | Exit::RunFailed | Exit::Usage => ("usage", 400),
        Exit::NotFound => ("not_found", 404),
        Exit::Conflict => ("conflict", 409),
        Exit::Refused => ("unauthenticated", 401),
        Exit::Unavailable => ("unavailable", 503),
    };
    Problem {
        r#type: format!("/errors/{code}"),
        title: exit.meaning().to_owned(),
        status,
        detail,
        code: code.to_owned(),
        field: None,
        request_id: None,
        retryable: exit == Exit::Unavailable,
        changed: Changed::No,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_are_told_once_and_the_exit_code_is_the_faults() {
        let error = Err::<(), _>(Fault::usage("no port: 7x")).context("--listen");
        let error = error.unwrap_err();
        assert_eq!(chain(&error), "--listen: no port: 7x");
        assert_eq!(exit(&error), Exit::Usage);
        let error = anyhow::anyhow!("a: b").context("a: b");
        assert_eq!(chain(&error), "a: b");
    }
}
