//! Stable codes of every "no", and the [`Rejection`] that carries one.

use std::fmt;

macro_rules! codes {
    ($($name:ident => $text:literal),* $(,)?) => {
        /// Why a command was refused. The texts are part of the public contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($name),* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }
        }
    };
}

// Alphabetical.
codes! {
    AgentExists => "agent_exists",
    AgentInactive => "agent_inactive",
    AgentNotFound => "agent_not_found",
    BodyTooLarge => "body_too_large",
    ExpectedRun => "expected_run",
    IdempotencyConflict => "idempotency_conflict",
    InboxFull => "inbox_full",
    InputNotFound => "input_not_found",
    InputNotWaiting => "input_not_waiting",
    Internal => "internal",
    InvalidBody => "invalid_body",
    InvalidField => "invalid_field",
    MethodNotAllowed => "method_not_allowed",
    NotFound => "not_found",
    RequiredField => "required_field",
    RunNotCancellable => "run_not_cancellable",
    RunNotFound => "run_not_found",
    ScheduleNotFound => "schedule_not_found",
    SessionConflict => "session_conflict",
    TaskNotArchivable => "task_not_archivable",
    TaskNotCancellable => "task_not_cancellable",
    TaskNotFound => "task_not_found",
    TooLarge => "too_large",
    Unauthenticated => "unauthenticated",
    Unavailable => "unavailable",
    UnsupportedMediaType => "unsupported_media_type",
    WorkspaceExists => "workspace_exists",
    WorkspaceNotFound => "workspace_not_found",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A business "no": nothing was changed. It has no cause and is never logged as an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub code: Code,
    /// For people: names what was wrong and what is allowed.
    pub message: String,
    /// The field of the request, as a path (`policy.security`).
    pub field: Option<String>,
}

impl Rejection {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Rejection { code, message: message.into(), field: None }
    }

    pub fn field(code: Code, field: &str, message: impl Into<String>) -> Self {
        Rejection { code, message: message.into(), field: Some(field.to_owned()) }
    }

    pub fn required(field: &str) -> Self {
        Rejection::field(Code::RequiredField, field, format!("{field} is required"))
    }

    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Rejection::field(Code::InvalidField, field, message)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_stand_in_alphabetical_order() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    }
}
