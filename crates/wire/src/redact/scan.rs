//! One pass over a string: what may end a name or begin a secret is looked at, the rest is passed.

use std::borrow::Cow;

use super::REDACTED;
use super::name::{self, Kind};
use super::span::{self, Quote};

/// The bytes that are looked at.
const LOOK: [bool; 256] = {
    let mut look = [false; 256];
    let bytes = b"=:-bB[{}";
    let mut at = 0;
    while at < bytes.len() {
        look[bytes[at] as usize] = true;
        at += 1;
    }
    look
};

pub fn scan(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut scan = Scan { text, bytes, out: String::new(), floor: 0, counts: 0, opens: None };
    let mut at = 0;
    while let Some(step) = bytes[at..].iter().position(|byte| LOOK[usize::from(*byte)]) {
        at += step;
        let hide = match bytes[at] {
            b'-' => scan.key(at),
            b':' => scan.member(at).or_else(|| scan.header(at)),
            b'=' => scan.assignment(at),
            b'[' => text[at..].starts_with(REDACTED).then(|| Hide::bare(at, at + REDACTED.len())),
            b'{' | b'}' => {
                scan.bracket(at);
                None
            }
            _ => scan.bearer(at),
        };
        match hide {
            Some(hide) => {
                at = hide.to;
                scan.put(hide);
            }
            None => at += 1,
        }
    }
    if scan.out.is_empty() {
        return Cow::Borrowed(text);
    }
    scan.out.push_str(&text[scan.floor..]);
    Cow::Owned(scan.out)
}

/// A part of the text to be replaced.
struct Hide {
    from: usize,
    to: usize,
    /// The quotes to be put around it: a number, a list or an object becomes a string.
    quote: Option<Quote>,
}

impl Hide {
    fn bare(from: usize, to: usize) -> Hide {
        Hide { from, to, quote: None }
    }

    fn if_any(from: usize, to: usize) -> Option<Hide> {
        (from < to).then(|| Hide::bare(from, to))
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    out: String,
    /// The end of the last hidden part: nothing looks behind it.
    floor: usize,
    /// The depth inside an object of counts; 0 outside.
    counts: usize,
    /// The brace that opens one.
    opens: Option<usize>,
}

impl Scan<'_> {
    fn put(&mut self, hide: Hide) {
        let Hide { from, to, quote } = hide;
        self.out.push_str(&self.text[self.floor..from]);
        let quotes = |out: &mut String| {
            if let Some(Quote { byte, slashes }) = quote {
                out.extend(std::iter::repeat_n('\\', slashes));
                out.push(char::from(byte));
            }
        };
        quotes(&mut self.out);
        self.out.push_str(REDACTED);
        quotes(&mut self.out);
        self.floor = to;
    }

    fn bracket(&mut self, at: usize) {
        match self.bytes[at] {
            b'{' if self.counts > 0 || self.opens == Some(at) => self.counts += 1,
            b'}' => self.counts = self.counts.saturating_sub(1),
            _ => {}
        }
    }

    /// A word may begin here: what is before is no part of it, or is an escape (`\n`).
    fn begins_word(&self, at: usize) -> bool {
        let before = &self.bytes[self.floor..at];
        match before {
            [.., b'\\', b'n' | b't' | b'r'] | [] => true,
            [.., last] => !last.is_ascii_alphanumeric() && *last != b'_',
        }
    }

    /// `sk-` and eight or more; `at` is its `-`.
    fn key(&self, at: usize) -> Option<Hide> {
        if !self.bytes[self.floor..at].ends_with(b"sk") || !self.begins_word(at - 2) {
            return None;
        }
        let rest = &self.bytes[at + 1..];
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let len = rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len());
        (len >= 8).then(|| Hide::bare(at - 2, at + 1 + len))
    }

    /// `Bearer` in any case, blanks, and a token. "bearer token" is how people call it.
    fn bearer(&self, at: usize) -> Option<Hide> {
        let word = self.bytes.get(at..at + 6)?;
        if !word.eq_ignore_ascii_case(b"bearer") || !self.begins_word(at) {
            return None;
        }
        let from = span::skip_spaces(self.bytes, at + 6);
        let to = span::credential_end(self.bytes, from);
        let is_name = name::is_the_word_token(&self.bytes[from..to]);
        if from == at + 6 || is_name { None } else { Hide::if_any(from, to) }
    }

    /// What stands before `at`, blanks left out.
    fn before(&self, at: usize) -> &[u8] {
        self.bytes[self.floor..at].trim_ascii_end()
    }

    /// The value of a quoted name; `at` is its colon.
    fn member(&mut self, at: usize) -> Option<Hide> {
        let (byte, before) = match self.before(at) {
            [before @ .., byte @ (b'"' | b'\'')] => (*byte, before),
            _ => return None,
        };
        let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        let before = &before[..before.len() - slashes];
        let open = before.iter().rposition(|other| *other == byte).map_or(0, |open| open + 1);
        let name = &before[open..];
        let kind = match name::kind(name) {
            Kind::Plain if self.counts > 0 && !name.is_empty() => Kind::Counts,
            Kind::Plain => return None,
            kind => kind,
        };
        let quote = Quote { byte, slashes };
        self.member_value(at + 1, kind, quote)
    }

    fn member_value(&mut self, after: usize, kind: Kind, name_quote: Quote) -> Option<Hide> {
        let bytes = self.bytes;
        let from = span::skip_blanks(bytes, after);
        if let Some(quote) = Quote::at(bytes, from) {
            let inner = from + quote.len();
            let to = quote.end(bytes, inner);
            let stays = kind == Kind::Counts && name::is_count(&bytes[inner..to]);
            return if stays { None } else { Hide::if_any(inner, to) };
        }
        let quote = Some(name_quote);
        match (bytes.get(from)?, kind) {
            (b'{', Kind::Counts) => {
                self.opens = Some(from);
                None
            }
            (b'[', Kind::Counts) => {
                let item = span::skip_blanks(bytes, from + 1);
                Quote::at(bytes, item)?;
                Some(Hide { from, to: span::bracket_end(bytes, from), quote })
            }
            (b'{' | b'[', _) => {
                // What was hidden before stays as it is.
                if self.text[from..].starts_with(REDACTED) {
                    return None;
                }
                Some(Hide { from, to: span::bracket_end(bytes, from), quote })
            }
            (_, Kind::Secret) => {
                let to = span::key_end(bytes, from);
                let number = &bytes[from..to];
                name::is_count(number).then_some(Hide { from, to, quote })
            }
            _ => None,
        }
    }

    /// The unquoted name that ends at `at`, blanks left out.
    fn bare_name(&self, at: usize) -> Kind {
        let before = self.before(at);
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let start = before.iter().rposition(|byte| !part(byte)).map_or(0, |at| at + 1);
        name::kind(&before[start..])
    }

    /// `NAME=value`; `at` is its `=`.
    fn assignment(&self, at: usize) -> Option<Hide> {
        let bytes = self.bytes;
        // `:=` assigns as well.
        let name_end = if bytes[self.floor..at].ends_with(b":") { at - 1 } else { at };
        let kind = self.bare_name(name_end);
        if kind == Kind::Plain {
            return None;
        }
        let from = span::skip_spaces(bytes, at + 1);
        if let Some(quote) = Quote::at(bytes, from) {
            let inner = from + quote.len();
            let to = quote.end(bytes, inner);
            let stays = kind == Kind::Counts && name::is_count(&bytes[inner..to]);
            return if stays { None } else { Hide::if_any(inner, to) };
        }
        let is_spaced = from > at + 1 || self.before(name_end).len() < name_end - self.floor;
        if is_spaced {
            return self.long_key(from);
        }
        let to = span::word_end(bytes, from);
        let value = &bytes[from..to];
        if name::is_void(value) || (kind == Kind::Counts && name::is_count(value)) {
            return None;
        }
        self.credentials(from, to).or_else(|| Hide::if_any(from, to))
    }

    /// `Name: value`; `at` is its colon.
    fn header(&self, at: usize) -> Option<Hide> {
        let from = span::skip_spaces(self.bytes, at + 1);
        if from == at + 1 || self.bare_name(at) == Kind::Plain {
            return None;
        }
        let from = from + Quote::at(self.bytes, from).map_or(0, Quote::len);
        let to = span::key_end(self.bytes, from);
        self.credentials(from, to).or_else(|| self.long_key(from))
    }

    /// What follows a scheme.
    fn credentials(&self, from: usize, to: usize) -> Option<Hide> {
        let next = span::skip_spaces(self.bytes, to);
        let is_scheme = next > to && name::is_scheme(&self.bytes[from..to]);
        is_scheme.then(|| Hide::if_any(next, span::word_end(self.bytes, next))).flatten()
    }

    fn long_key(&self, from: usize) -> Option<Hide> {
        let to = span::key_end(self.bytes, from);
        name::is_long_key(&self.bytes[from..to]).then(|| Hide::bare(from, to))
    }
}
