//! Lines of a process's output.
//!
//! **What** Bytes as they come become texts without their line end: a line that is too long comes
//! in pieces, and what is no UTF-8 is replaced.
//!
//! **Invariants** Memory is bounded by one line and one read. [`Lines::read`] may be dropped and
//! called again; nothing is lost. The last line needs no end.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a pipe holds.
const READ_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    /// The longest line that is taken as one.
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Up to here there is no line end.
    searched: usize,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, bytes_max: usize) -> Lines<R> {
        Lines { reader, bytes_max, buffer: Vec::new(), searched: 0, ended: false }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The lines that one read completes, none perhaps; never resolves again after the end.
    pub(super) async fn read(&mut self) -> Vec<String> {
        if self.ended {
            return std::future::pending().await;
        }
        self.buffer.reserve(READ_BYTES);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(count) if count > 0 => self.complete(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Vec::new(),
            // A pipe that cannot be read has said what it had to say.
            Ok(_) | Err(_) => {
                self.ended = true;
                let mut lines = self.complete();
                if !self.buffer.is_empty() {
                    lines.push(text(&self.buffer));
                    self.buffer = Vec::new();
                }
                lines
            }
        }
    }

    fn complete(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut start = 0;
        loop {
            let from = self.searched.max(start);
            let found = self.buffer[from..].iter().position(|byte| *byte == b'\n');
            match found.map(|index| from + index) {
                Some(end) if end - start <= self.bytes_max => {
                    lines.push(text(&self.buffer[start..end]));
                    start = end + 1;
                }
                _ if self.buffer.len() - start > self.bytes_max => {
                    let end = boundary(&self.buffer, start, start + self.bytes_max);
                    lines.push(text(&self.buffer[start..end]));
                    start = end;
                }
                _ => break,
            }
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        lines
    }
}

/// The end of a piece, not within a character if it can be helped.
fn boundary(bytes: &[u8], start: usize, end: usize) -> usize {
    let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let earliest = (start + 1).max(end.saturating_sub(3));
    let fits = |at: &usize| !is_continuation(bytes[*at]);
    (earliest..=end).rev().find(fits).unwrap_or(end)
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE_BYTES_MAX: usize = 1 << 20;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut reader = Lines::new(bytes, LINE_BYTES_MAX);
        let mut all = Vec::new();
        while !reader.has_ended() {
            all.extend(reader.read().await);
        }
        all
    }

    #[tokio::test]
    async fn lines_come_without_their_ends_and_the_last_needs_none() {
        assert_eq!(lines(b"one\ntwo\r\n\nthree").await, ["one", "two", "", "three"]);
        assert_eq!(lines(b"").await, [] as [&str; 0]);
        assert_eq!(lines(b"\n").await, [""]);
    }

    #[tokio::test]
    async fn what_is_no_text_is_replaced() {
        assert_eq!(lines(b"a\xff\xfeb\n").await, ["a\u{fffd}\u{fffd}b"]);
    }

    #[tokio::test]
    async fn a_long_line_comes_in_pieces_cut_between_characters() {
        let long = "é".repeat(LINE_BYTES_MAX * 3 / 4);
        let got = lines(format!("x{long}\nnext\n").as_bytes()).await;
        assert_eq!(got.len(), 3);
        assert!(got.iter().all(|piece| piece.len() <= LINE_BYTES_MAX));
        assert_eq!(got[..2].concat(), format!("x{long}"));
        assert_eq!(got[2], "next");
        let exact = "y".repeat(LINE_BYTES_MAX);
        assert_eq!(lines(format!("{exact}\nz").as_bytes()).await, [exact.as_str(), "z"]);
    }
}
