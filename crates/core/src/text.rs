//! Closed sets of words, declared once: an enum, its text, and the list that an error names.

/// Declares an enum whose values have fixed public texts.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis enum $name:ident {
        $($(#[$vdoc:meta])* $variant:ident => $text:literal),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
                 serde::Serialize, serde::Deserialize)]
        $vis enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }

            /// The allowed texts, for an error message.
            pub fn list() -> String {
                [$($text),*].join(", ")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

use crate::code::{Code, Rejection};

/// Trims; blank text is absent (ACC-1).
pub fn trimmed(text: Option<String>) -> Option<String> {
    let text = text?;
    let kept = text.trim();
    match kept.len() {
        0 => None,
        length if length == text.len() => Some(text),
        _ => Some(kept.to_owned()),
    }
}

/// Refuses text over a limit in bytes (ACC-8).
pub fn bounded(field: &str, text: &str, bytes_max: usize) -> Result<(), Rejection> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Rejection::field(
        Code::TooLarge,
        field,
        format!("{field} has {} bytes; at most {bytes_max} are allowed", text.len()),
    ))
}

/// What stands for a secret in answers: given back, it means the stored one.
pub const REDACTED: &str = "[REDACTED]";

/// Refuses a text that was read from an answer with a secret hidden: the secret would be lost.
pub fn whole(field: &str, text: &str, stored: &str) -> Result<(), Rejection> {
    if text.matches(REDACTED).count() <= stored.matches(REDACTED).count() {
        return Ok(());
    }
    let text =
        format!("{REDACTED} stands for what an answer hides; give the text that it stands for");
    Err(Rejection::invalid(field, text))
}

/// Shortens to at most `bytes_max` bytes without cutting a character.
pub fn shortened(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
