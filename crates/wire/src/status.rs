//! What each code means outside: its HTTP status, its gRPC code, the command's exit code, whether
//! to try again, and whether anything may have changed.
//!
//! **Invariants** Every match names every code: a new one is decided here, and gets its page in
//! `docs/errors` (a test compares the two).

use hostler_core::code::Code;
use hostler_core::run::Status as RunStatus;
use http::StatusCode;

use crate::json::Changed;

pub fn http(code: Code) -> StatusCode {
    match code {
        Code::InvalidBody | Code::InvalidField | Code::RequiredField => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::AgentNotFound
        | Code::InputNotFound
        | Code::ScheduleNotFound
        | Code::NotFound
        | Code::RunNotFound
        | Code::TaskNotFound
        | Code::WorkspaceNotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::AgentExists
        | Code::WorkspaceExists
        | Code::AgentInactive
        | Code::ExpectedRun
        | Code::IdempotencyConflict
        | Code::RunNotCancellable
        | Code::SessionConflict
        | Code::TaskNotArchivable
        | Code::TaskNotCancellable
        | Code::InputNotWaiting => StatusCode::CONFLICT,
        Code::BodyTooLarge | Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InboxFull => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

pub fn grpc(code: Code) -> tonic::Code {
    match code {
        Code::BodyTooLarge
        | Code::InvalidBody
        | Code::InvalidField
        | Code::RequiredField
        | Code::TooLarge
        | Code::UnsupportedMediaType => tonic::Code::InvalidArgument,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::AgentNotFound
        | Code::InputNotFound
        | Code::ScheduleNotFound
        | Code::NotFound
        | Code::RunNotFound
        | Code::TaskNotFound
        | Code::WorkspaceNotFound => tonic::Code::NotFound,
        Code::MethodNotAllowed => tonic::Code::Unimplemented,
        Code::AgentExists | Code::WorkspaceExists | Code::IdempotencyConflict => {
            tonic::Code::AlreadyExists
        }
        Code::AgentInactive
        | Code::ExpectedRun
        | Code::RunNotCancellable
        | Code::SessionConflict
        | Code::TaskNotArchivable
        | Code::TaskNotCancellable
        | Code::InputNotWaiting => tonic::Code::FailedPrecondition,
        Code::InboxFull => tonic::Code::ResourceExhausted,
        Code::Internal => tonic::Code::Internal,
        Code::Unavailable => tonic::Code::Unavailable,
    }
}

/// How the command `hostler` ends. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    /// The run that was followed did not end well.
    RunFailed = 1,
    /// The command line or a field of the request is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// It is there, in a state that does not allow this.
    Conflict = 4,
    /// The token is missing, wrong, or may not do this.
    Refused = 5,
    /// The server cannot be reached, is overloaded or failed: trying again may help.
    Unavailable = 6,
}

impl Exit {
    pub const ALL: [Exit; 7] = [
        Exit::Ok,
        Exit::RunFailed,
        Exit::Usage,
        Exit::NotFound,
        Exit::Conflict,
        Exit::Refused,
        Exit::Unavailable,
    ];

    pub fn number(self) -> u8 {
        self as u8
    }

    /// For the help text.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done",
            Exit::RunFailed => "the run did not end well",
            Exit::Usage => "the command line or a field of the request is wrong",
            Exit::NotFound => "what was named is not there",
            Exit::Conflict => "it is in a state that does not allow this",
            Exit::Refused => "the token is missing, wrong, or may not do this",
            Exit::Unavailable => "the server cannot be reached, is overloaded, or failed",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.number().into()
    }
}

pub fn exit(code: Code) -> Exit {
    match code {
        Code::BodyTooLarge
        | Code::InvalidBody
        | Code::InvalidField
        | Code::MethodNotAllowed
        | Code::RequiredField
        | Code::TooLarge
        | Code::UnsupportedMediaType => Exit::Usage,
        Code::AgentNotFound
        | Code::InputNotFound
        | Code::ScheduleNotFound
        | Code::NotFound
        | Code::RunNotFound
        | Code::TaskNotFound
        | Code::WorkspaceNotFound => Exit::NotFound,
        Code::AgentExists
        | Code::WorkspaceExists
        | Code::AgentInactive
        | Code::ExpectedRun
        | Code::IdempotencyConflict
        | Code::RunNotCancellable
        | Code::SessionConflict
        | Code::TaskNotArchivable
        | Code::TaskNotCancellable
        | Code::InputNotWaiting => Exit::Conflict,
        Code::Unauthenticated => Exit::Refused,
        Code::InboxFull | Code::Internal | Code::Unavailable => Exit::Unavailable,
    }
}

/// How a command that followed a run ends; `None` while the run is live.
pub fn exit_of_run(status: RunStatus) -> Option<Exit> {
    match status {
        RunStatus::Accepted | RunStatus::Running => None,
        RunStatus::Ok => Some(Exit::Ok),
        RunStatus::Error | RunStatus::Timeout | RunStatus::Cancelled => Some(Exit::RunFailed),
    }
}

/// The same request, unchanged, may succeed later.
pub fn retry(code: Code) -> bool {
    match code {
        Code::InboxFull | Code::Unavailable => true,
        Code::AgentExists
        | Code::WorkspaceExists
        | Code::AgentInactive
        | Code::AgentNotFound
        | Code::BodyTooLarge
        | Code::ExpectedRun
        | Code::IdempotencyConflict
        | Code::InputNotFound
        | Code::ScheduleNotFound
        | Code::Internal
        | Code::InvalidBody
        | Code::InvalidField
        | Code::MethodNotAllowed
        | Code::NotFound
        | Code::RequiredField
        | Code::RunNotCancellable
        | Code::RunNotFound
        | Code::SessionConflict
        | Code::TaskNotArchivable
        | Code::TaskNotCancellable
        | Code::InputNotWaiting
        | Code::TaskNotFound
        | Code::TooLarge
        | Code::Unauthenticated
        | Code::UnsupportedMediaType
        | Code::WorkspaceNotFound => false,
    }
}

/// Whether anything may have changed. A refusal changes nothing; after a failure of the server or
/// its store it is not known whether the commit went through.
pub fn changed(code: Code) -> Changed {
    match code {
        Code::Internal | Code::Unavailable => Changed::Maybe,
        Code::AgentExists
        | Code::WorkspaceExists
        | Code::AgentInactive
        | Code::AgentNotFound
        | Code::BodyTooLarge
        | Code::ExpectedRun
        | Code::IdempotencyConflict
        | Code::InboxFull
        | Code::InputNotFound
        | Code::ScheduleNotFound
        | Code::InvalidBody
        | Code::InvalidField
        | Code::MethodNotAllowed
        | Code::NotFound
        | Code::RequiredField
        | Code::RunNotCancellable
        | Code::RunNotFound
        | Code::SessionConflict
        | Code::TaskNotArchivable
        | Code::TaskNotCancellable
        | Code::InputNotWaiting
        | Code::TaskNotFound
        | Code::TooLarge
        | Code::Unauthenticated
        | Code::UnsupportedMediaType
        | Code::WorkspaceNotFound => Changed::No,
    }
}

/// What a code means, in a few words: the title of its problems and of its page.
pub fn title(code: Code) -> &'static str {
    match code {
        Code::AgentExists => "The agent key is taken",
        Code::AgentInactive => "The agent is not active",
        Code::AgentNotFound => "No such agent",
        Code::BodyTooLarge => "The request body is too large",
        Code::ExpectedRun => "Another run is live",
        Code::IdempotencyConflict => "The idempotency key was used with another body",
        Code::InboxFull => "The task has too many waiting inputs",
        Code::InputNotFound => "No such input",
        Code::InputNotWaiting => "The input does not wait any more",
        Code::Internal => "The server failed",
        Code::InvalidBody => "The request body cannot be read",
        Code::InvalidField => "A field has a value that is not allowed",
        Code::MethodNotAllowed => "The path does not take this method",
        Code::NotFound => "No such path or thing",
        Code::RequiredField => "A required field is missing",
        Code::RunNotCancellable => "The run is over",
        Code::RunNotFound => "No such run",
        Code::ScheduleNotFound => "No such schedule",
        Code::SessionConflict => "The command does not fit the session's task",
        Code::TaskNotArchivable => "The task cannot be archived now",
        Code::TaskNotCancellable => "The task is over",
        Code::TaskNotFound => "No such task",
        Code::TooLarge => "A field is too large",
        Code::Unauthenticated => "A valid token is missing",
        Code::Unavailable => "The server cannot answer now",
        Code::UnsupportedMediaType => "The request body is not JSON",
        Code::WorkspaceExists => "There is such a workspace already",
        Code::WorkspaceNotFound => "No such workspace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The families that clients may rely on: the HTTP status decides the other two.
    #[test]
    fn http_grpc_and_exit_code_agree() {
        for &code in Code::ALL {
            let (grpc, exit) = (grpc(code), exit(code));
            let fits = match http(code).as_u16() {
                400 | 413 | 415 => (grpc, exit) == (tonic::Code::InvalidArgument, Exit::Usage),
                405 => (grpc, exit) == (tonic::Code::Unimplemented, Exit::Usage),
                401 => (grpc, exit) == (tonic::Code::Unauthenticated, Exit::Refused),
                403 => (grpc, exit) == (tonic::Code::PermissionDenied, Exit::Refused),
                404 => (grpc, exit) == (tonic::Code::NotFound, Exit::NotFound),
                409 => {
                    exit == Exit::Conflict
                        && matches!(
                            grpc,
                            tonic::Code::AlreadyExists | tonic::Code::FailedPrecondition
                        )
                }
                429 => (grpc, exit) == (tonic::Code::ResourceExhausted, Exit::Unavailable),
                500 => (grpc, exit) == (tonic::Code::Internal, Exit::Unavailable),
                503 => (grpc, exit) == (tonic::Code::Unavailable, Exit::Unavailable),
                _ => false,
            };
            assert!(fits, "{code}: {} {grpc:?} {exit:?}", http(code));
        }
    }

    #[test]
    fn only_failures_of_the_server_leave_a_doubt_about_what_changed() {
        for &code in Code::ALL {
            let is_failure = http(code).is_server_error();
            assert_eq!(changed(code) == Changed::Maybe, is_failure, "{code}");
        }
    }

    #[test]
    fn exit_codes_are_their_documented_numbers() {
        for (number, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.number()), number);
        }
    }
}
