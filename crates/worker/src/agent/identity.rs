//! # Stable identities
//!
//! **What** UUIDs derived from other names, for agents that accept nothing else.
//!
//! **Invariants** The same parts give the same UUID on every machine and in every version.
//!
//! **Failure** Two names can fall on one UUID. Each session has its own state folder, so that
//! would still not mix two conversations; no secret may depend on these values.
//!
//! **Not here** Hostler's own ids (`hostler_core::id`).

use uuid::{Builder, Uuid};

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
/// Any odd number with many bits will do.
const MIX: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// A UUID (version 8, "custom") from the FNV-1a hash of the parts, each closed by a zero byte so
/// that `["ab", "c"]` and `["a", "bc"]` differ. The last bytes would show in few bits only, hence
/// the mixing at the end.
pub(super) fn uuid_from(parts: &[&str]) -> Uuid {
    let mut hash = FNV_OFFSET;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    for _ in 0..2 {
        hash = (hash ^ (hash >> 67)).wrapping_mul(MIX);
    }
    hash ^= hash >> 67;
    Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

/// The session's name for agents that want a UUID: itself if it is one.
pub(super) fn session_uuid(workspace: &str, session_id: &str) -> Uuid {
    Uuid::parse_str(session_id).unwrap_or_else(|_| uuid_from(&["session", workspace, session_id]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_that_is_a_uuid_is_kept() {
        let id = "4851f103-9691-43ea-a43a-d15781a20756";
        assert_eq!(session_uuid("default", id).to_string(), id);
    }

    #[test]
    fn other_session_ids_get_a_stable_uuid_of_their_workspace() {
        let id = session_uuid("default", "my session");
        assert_eq!(id.to_string(), session_uuid("default", "my session").to_string());
        assert_ne!(id, session_uuid("other", "my session"));
        assert_ne!(uuid_from(&["ab", "c"]), uuid_from(&["a", "bc"]));
        assert_eq!(id.get_version_num(), 8);
    }
}
