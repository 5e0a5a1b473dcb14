//! The owner's text form, `worker_id:execution_id`, and the original's reconciliation of a lease
//! whose execution has ended (RUN-9).

use crate::attempt;

/// The execution id of an owner: what stands after the first colon, trimmed; empty without one.
pub fn extract_lease_execution_id(owner: &str) -> &str {
    owner.split_once(':').map_or("", |(_, execution)| execution.trim())
}

/// What is known of the execution that a lease names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It could not be looked up: the lease is left alone.
    Unknown,
    Missing,
    Found(attempt::Status),
}

/// Whether a session's lease is stale and is to be released: its execution is gone or over.
pub fn reconcile_stale_session_lease(owner: &str, execution: Execution) -> bool {
    if extract_lease_execution_id(owner).is_empty() {
        return false;
    }
    match execution {
        Execution::Unknown => false,
        Execution::Missing => true,
        Execution::Found(status) => status.is_terminal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_execution_stands_after_the_first_colon() {
        assert_eq!(extract_lease_execution_id("w:a:b"), "a:b");
        assert_eq!(extract_lease_execution_id("w: x "), "x");
        assert_eq!(extract_lease_execution_id("w:"), "");
        assert_eq!(extract_lease_execution_id("task-1"), "");
    }

    #[test]
    fn a_lease_is_stale_when_its_execution_is_gone_or_over() {
        let found = |status| reconcile_stale_session_lease("w:e", Execution::Found(status));
        assert!(found(attempt::Status::Ok));
        assert!(found(attempt::Status::Cancelled));
        assert!(!found(attempt::Status::Running));
        assert!(!found(attempt::Status::Blocked));
        assert!(reconcile_stale_session_lease("w:e", Execution::Missing));
        assert!(!reconcile_stale_session_lease("w:e", Execution::Unknown));
        assert!(!reconcile_stale_session_lease("w", Execution::Missing));
    }
}
