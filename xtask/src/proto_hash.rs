//! The hash by which a generated file says which proto it was made from.

/// FNV-1a, 64 bits, in hex. It guards against forgetting, not against malice; std has no stable
/// hash that is fit to be written to a file.
pub fn proto_hash(text: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::proto_hash;

    #[test]
    fn it_is_fnv_1a() {
        assert_eq!(proto_hash(""), "cbf29ce484222325");
        assert_eq!(proto_hash("a"), "af63dc4c8601ec8c");
        assert_eq!(proto_hash("foobar"), "85944171f73967e8");
    }
}
