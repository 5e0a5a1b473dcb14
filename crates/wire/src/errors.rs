//! The page of each error: what happened, whether anything changed, what to do.
//!
//! **What** The pages are `docs/errors/<code>.md`; the server serves them at `/errors/<code>`,
//! which is the `type` of every problem.
//!
//! **Invariants** Every code has a page, and the page states what [`status`](crate::status) says.

use hostler_core::code::Code;

/// The page of a code, in Markdown; `None` for a text that is no code.
pub fn error_page(code: &str) -> Option<&'static str> {
    Code::ALL.iter().copied().find(|known| known.as_str() == code).map(page)
}

fn page(code: Code) -> &'static str {
    macro_rules! page {
        ($name:literal) => {
            include_str!(concat!("../../../docs/errors/", $name, ".md"))
        };
    }
    match code {
        Code::AgentExists => page!("agent_exists"),
        Code::AgentInactive => page!("agent_inactive"),
        Code::AgentNotFound => page!("agent_not_found"),
        Code::BodyTooLarge => page!("body_too_large"),
        Code::ExpectedRun => page!("expected_run"),
        Code::IdempotencyConflict => page!("idempotency_conflict"),
        Code::InboxFull => page!("inbox_full"),
        Code::InputNotFound => page!("input_not_found"),
        Code::InputNotWaiting => page!("input_not_waiting"),
        Code::Internal => page!("internal"),
        Code::InvalidBody => page!("invalid_body"),
        Code::InvalidField => page!("invalid_field"),
        Code::MethodNotAllowed => page!("method_not_allowed"),
        Code::NotFound => page!("not_found"),
        Code::RequiredField => page!("required_field"),
        Code::RunNotCancellable => page!("run_not_cancellable"),
        Code::RunNotFound => page!("run_not_found"),
        Code::ScheduleNotFound => page!("schedule_not_found"),
        Code::SessionConflict => page!("session_conflict"),
        Code::TaskNotArchivable => page!("task_not_archivable"),
        Code::TaskNotCancellable => page!("task_not_cancellable"),
        Code::TaskNotFound => page!("task_not_found"),
        Code::TooLarge => page!("too_large"),
        Code::Unauthenticated => page!("unauthenticated"),
        Code::Unavailable => page!("unavailable"),
        Code::UnsupportedMediaType => page!("unsupported_media_type"),
        Code::WorkspaceExists => page!("workspace_exists"),
        Code::WorkspaceNotFound => page!("workspace_not_found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status;

    #[test]
    fn each_page_states_what_the_tables_say() {
        for &code in Code::ALL {
            let page = error_page(code.as_str()).unwrap();
            let begin = format!(
                "# {}\n\n`{code}` · HTTP {} · gRPC `{:?}` · exit code {} · retryable: {} · \
                 changed: {}\n\n## What happened\n\n",
                status::title(code),
                status::http(code).as_u16(),
                status::grpc(code),
                status::exit(code).number(),
                if status::retry(code) { "yes" } else { "no" },
                status::changed(code).as_str(),
            );
            assert!(page.starts_with(&begin), "docs/errors/{code}.md must begin with:\n{begin}");
            for heading in ["\n## Did anything change\n", "\n## What to do\n"] {
                assert!(page.contains(heading), "docs/errors/{code}.md lacks {heading:?}");
            }
        }
    }

    #[test]
    fn no_page_is_left_of_a_code_that_is_gone() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let code = name.strip_suffix(".md").unwrap_or(&name);
            assert!(error_page(code).is_some(), "docs/errors/{name} is the page of no code");
        }
    }

    #[test]
    fn the_limits_that_the_pages_name_are_the_engines() {
        use hostler_core::limits;
        let inbox = format!("has {} inputs", limits::INBOX_MAX);
        assert!(page(Code::InboxFull).contains(&inbox));
        let body = format!("{} MiB", limits::BODY_BYTES_MAX >> 20);
        assert!(page(Code::BodyTooLarge).contains(&body));
    }

    #[test]
    fn a_text_that_is_no_code_has_no_page() {
        assert_eq!(error_page("../status"), None);
    }
}
