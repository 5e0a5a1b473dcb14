//! How deep a JSON text is nested, told without building anything from it.

/// The deepest nesting of objects and lists.
pub fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::nesting;

    #[test]
    fn brackets_in_strings_are_text() {
        assert_eq!(nesting(br#"{"a": ["[[[[", "\"[", {}]}"#), 3);
        assert_eq!(nesting(b"1"), 0);
    }
}
