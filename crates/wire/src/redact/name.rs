//! Which names are sensitive, and which of them speak of counts.

/// The sensitive words. Names are compared in lower case, with `-` and `.` as `_`.
const WORDS: [&[u8]; 12] = [
    b"token",
    b"secret",
    b"password",
    b"authorization",
    b"api_key",
    b"apikey",
    b"session_key",
    b"sessionkey",
    b"private_key",
    b"privatekey",
    b"access_key",
    b"accesskey",
];

/// Parts of a name that make it one of counts.
const COUNTS: [&[u8]; 14] = [
    b"age", b"budget", b"count", b"counts", b"length", b"limit", b"max", b"min", b"ms", b"size",
    b"total", b"ttl", b"usage", b"used",
];

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Numbers below it stay.
    Counts,
    Secret,
}

pub fn kind(name: &[u8]) -> Kind {
    let (mut found, mut other, mut token_end) = (false, false, 0);
    for at in 0..name.len() {
        if !matches!(name[at] | 0x20, b't' | b's' | b'p' | b'a') {
            continue;
        }
        let Some(word) = WORDS.iter().find(|word| starts_with(&name[at..], word)) else {
            continue;
        };
        found = true;
        if *word == WORDS[0] {
            token_end = at + word.len();
        } else {
            other = true;
        }
    }
    if !found {
        Kind::Plain
    } else if has_count_part(name) {
        Kind::Counts
    } else if other || !name[token_end..].iter().any(u8::is_ascii_alphanumeric) {
        Kind::Secret
    } else {
        Kind::Counts
    }
}

fn starts_with(name: &[u8], word: &[u8]) -> bool {
    name.len() >= word.len() && name.iter().zip(word).all(|(a, b)| normal(*a) == *b)
}

fn normal(byte: u8) -> u8 {
    match byte {
        b'-' | b'.' => b'_',
        byte => byte.to_ascii_lowercase(),
    }
}

/// Parts end at what is no letter or digit, and before a capital after a small letter.
fn has_count_part(name: &[u8]) -> bool {
    let mut rest = name;
    while !rest.is_empty() {
        let humps = rest.windows(2).position(|two| {
            !two[1].is_ascii_alphanumeric()
                || (two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
        });
        let (part, after) = rest.split_at(humps.map_or(rest.len(), |at| at + 1));
        let part = if part[0].is_ascii_alphanumeric() { part } else { &part[1..] };
        if COUNTS.iter().any(|count| part.eq_ignore_ascii_case(count)) {
            return true;
        }
        rest = after;
    }
    false
}

/// A number as people write it.
pub fn is_count(text: &[u8]) -> bool {
    text.len() <= 24
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().all(|byte| byte.is_ascii_digit() || b"+-.,_/%:]".contains(byte))
}

/// A word that says that there is no value, or only whether there is one.
pub fn is_void(text: &[u8]) -> bool {
    [b"true".as_slice(), b"false", b"null", b"none", b"nil", b"undefined"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Sixteen or more characters with letters and digits among them: no word of a language.
pub fn is_long_key(text: &[u8]) -> bool {
    text.len() >= 16
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
}

/// A scheme of authorization, before its credentials.
pub fn is_scheme(text: &[u8]) -> bool {
    [b"bearer".as_slice(), b"basic", b"digest", b"token"]
        .iter()
        .any(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// "token" or "tokens" itself, with what ends a sentence: it names a token and is none.
pub fn is_the_word_token(text: &[u8]) -> bool {
    let word = text.split(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default();
    let rest = &text[word.len()..];
    (word.eq_ignore_ascii_case(b"token") || word.eq_ignore_ascii_case(b"tokens"))
        && rest.iter().all(|byte| b".:!?".contains(byte))
}
