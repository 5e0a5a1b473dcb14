//! # The log of a world
//!
//! **What** Every step as one line. The lines are hashed always, and kept only when somebody wants
//! to read them.

use std::fmt;

#[derive(Debug)]
pub struct Log {
    hash: u64,
    count: u64,
    kept: Option<Vec<String>>,
}

impl Log {
    pub fn new(keep: bool) -> Self {
        // FNV-1a's offset.
        Log { hash: 0xCBF2_9CE4_8422_2325, count: 0, kept: keep.then(Vec::new) }
    }

    pub fn line(&mut self, now: i64, text: fmt::Arguments<'_>) {
        self.count += 1;
        match &mut self.kept {
            Some(kept) => {
                let line = format!("{now:>7} {text}");
                hash_into(&mut self.hash, &line);
                kept.push(line);
            }
            None => {
                let mut writer = Hasher(&mut self.hash);
                // Hashing takes any text.
                let _ = fmt::write(&mut writer, format_args!("{now:>7} {text}"));
            }
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn lines(&self) -> &[String] {
        self.kept.as_deref().unwrap_or_default()
    }
}

struct Hasher<'a>(&'a mut u64);

impl fmt::Write for Hasher<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        hash_into(self.0, text);
        Ok(())
    }
}

fn hash_into(hash: &mut u64, text: &str) {
    for byte in text.bytes() {
        *hash = (*hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
}
