//! Rust text without its strings, and without its comments too: so that a word in a message is
//! not taken for code. Lines stay where they are.

/// The same text twice, each character that is masked replaced by a space.
pub struct Masked {
    /// Code alone.
    pub code: String,
    /// Code and comments.
    pub prose: String,
}

#[derive(Clone, Copy, PartialEq)]
enum In {
    Code,
    Line,
    /// How deep block comments are nested.
    Block(usize),
    Text,
    /// A raw string with so many hashes.
    Raw(usize),
}

pub fn mask(text: &str) -> Masked {
    let chars: Vec<char> = text.chars().collect();
    let mut masked = Masked { code: String::new(), prose: String::new() };
    let mut place = In::Code;
    let mut index = 0;
    while index < chars.len() {
        let rest = &chars[index..];
        let (next, taken) = step(place, rest, index > 0 && is_word(chars[index - 1]));
        for &char in &rest[..taken] {
            let comment =
                matches!(place, In::Line | In::Block(_)) || matches!(next, In::Line | In::Block(_));
            let string = !comment && (place != In::Code || next != In::Code || taken > 1);
            masked.code.push(shown(char, !comment && !string));
            masked.prose.push(shown(char, !string));
        }
        index += taken;
        place = next;
    }
    masked
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn shown(char: char, shows: bool) -> char {
    if shows || char == '\n' { char } else { ' ' }
}

/// What follows, and how many characters lead there.
fn step(place: In, rest: &[char], after_word: bool) -> (In, usize) {
    let second = rest.get(1).copied();
    match (place, rest[0]) {
        (In::Code, '/') if second == Some('/') => (In::Line, 2),
        (In::Code, '/') if second == Some('*') => (In::Block(1), 2),
        (In::Code, '"') => (In::Text, 1),
        (In::Code, 'r') if !after_word || matches!(second, Some('"' | '#')) => raw(rest),
        (In::Code, '\'') => (In::Code, character(rest)),
        (In::Line, '\n') => (In::Code, 1),
        (In::Block(depth), '*') if second == Some('/') => match depth {
            1 => (In::Code, 2),
            _ => (In::Block(depth - 1), 2),
        },
        (In::Block(depth), '/') if second == Some('*') => (In::Block(depth + 1), 2),
        (In::Text, '\\') => (In::Text, rest.len().min(2)),
        (In::Text, '"') => (In::Code, 1),
        (In::Raw(hashes), '"') if closes(rest, hashes) => (In::Code, 1 + hashes),
        (place, _) => (place, 1),
    }
}

fn raw(rest: &[char]) -> (In, usize) {
    let hashes = rest[1..].iter().take_while(|char| **char == '#').count();
    match rest.get(1 + hashes) {
        Some('"') => (In::Raw(hashes), 2 + hashes),
        _ => (In::Code, 1),
    }
}

fn closes(rest: &[char], hashes: usize) -> bool {
    rest.len() > hashes && rest[1..=hashes].iter().all(|char| *char == '#')
}

/// The length of a character literal; 1 for the quote of a lifetime.
fn character(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), Some(_)) => {
            let end = rest[3..].iter().position(|char| *char == '\'');
            end.map_or(1, |end| end + 4)
        }
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    fn code(text: &str) -> String {
        mask(text).code
    }

    #[test]
    fn strings_and_comments_are_masked() {
        assert_eq!(code("a(\"b\\\"c\") // d\ne"), "a(      )     \ne");
        assert_eq!(code("a r#\"x\"y\"# b"), "a          b");
        assert_eq!(code("a /* b /* c */ d */ e"), "a                   e");
        assert_eq!(code("'\"' 'a 'b' '\\'' z"), "    'a          z");
    }

    #[test]
    fn prose_keeps_the_comments() {
        assert_eq!(mask("a(\"b\"); // c").prose, "a(   ); // c");
        assert_eq!(mask("/// A `\"`.\nb").prose, "/// A `\"`.\nb");
    }
}
