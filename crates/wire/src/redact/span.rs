//! Where values begin and end. Every end is at an ASCII byte or at the end of the text.

/// A quote and the backslashes before it: `\"` in JSON inside JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    pub byte: u8,
    pub slashes: usize,
}

impl Quote {
    /// The quote that begins at `at`, backslashes included.
    pub fn at(bytes: &[u8], at: usize) -> Option<Quote> {
        let slashes = bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
        match bytes.get(at + slashes) {
            Some(byte @ (b'"' | b'\'')) => Some(Quote { byte: *byte, slashes }),
            _ => None,
        }
    }

    pub fn len(self) -> usize {
        self.slashes + 1
    }

    /// The end of the string that begins at `from`, this quote being open: where the backslashes
    /// of its closing quote begin, or the end of the text.
    pub fn end(self, bytes: &[u8], from: usize) -> usize {
        let mut run = 0;
        for (at, byte) in bytes.iter().enumerate().skip(from) {
            match *byte {
                b'\\' => run += 1,
                byte => {
                    // Each level of JSON inside JSON doubles the backslashes. Fewer than this
                    // quote's belong to a string around it.
                    let closes = run < self.slashes || run % (2 * self.len()) == self.slashes;
                    if byte == self.byte && closes {
                        return at - run.min(self.slashes);
                    }
                    run = 0;
                }
            }
        }
        bytes.len()
    }
}

/// The end of the object or list that begins at `from`, or the end of the text.
pub fn bracket_end(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0usize, from);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' | b'\\' => {
                if let Some(quote) = Quote::at(bytes, at) {
                    let end = quote.end(bytes, at + quote.len());
                    at = (end + quote.len()).min(bytes.len());
                    continue;
                }
                at += bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The end of what has no blank, comma or semicolon, without the brackets and quotes that close
/// something around it.
pub fn word_end(bytes: &[u8], from: usize) -> usize {
    let stop = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';');
    let word = run(bytes, from, |byte| !stop(&byte));
    let closers = word.iter().rev().take_while(|byte| b"\\\"'`)}>".contains(byte)).count();
    from + word.len() - closers
}

/// The end of a credential after its scheme.
pub fn credential_end(bytes: &[u8], from: usize) -> usize {
    let word =
        run(bytes, from, |byte| !byte.is_ascii_whitespace() && !b"\\\"'`,;(){}<>".contains(&byte));
    from + word.len()
}

/// The end of what may be a key.
pub fn key_end(bytes: &[u8], from: usize) -> usize {
    let key = run(bytes, from, |byte| byte.is_ascii_alphanumeric() || b"_-.+/=~".contains(&byte));
    from + key.len()
}

pub fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    from + run(bytes, from, |byte| byte.is_ascii_whitespace()).len()
}

/// As [`skip_blanks`], on the same line.
pub fn skip_spaces(bytes: &[u8], from: usize) -> usize {
    from + run(bytes, from, |byte| matches!(byte, b' ' | b'\t')).len()
}

fn run(bytes: &[u8], from: usize, of: impl Fn(u8) -> bool) -> &[u8] {
    let rest = &bytes[from..];
    let len = rest.iter().position(|byte| !of(*byte)).unwrap_or(rest.len());
    &rest[..len]
}
