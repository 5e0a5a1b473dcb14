//! Reading server-sent events, as the WHATWG describes them.
//!
//! **Invariants** A frame is given once, when the blank line after it has come; what a broken
//! connection left unfinished is never given.

use std::collections::VecDeque;
use std::mem;

/// The bytes of one frame: a record of 1 MiB may be six times as long in JSON.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `message` when the frame names none.
    pub event: String,
    pub data: String,
    /// The last id that came, in this frame or an earlier one; empty when none came.
    pub id: String,
}

/// The frame is longer than 32 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlong;

#[derive(Debug, Default)]
pub struct Parser {
    /// The unfinished line.
    line: Vec<u8>,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line has come: a byte order mark can only stand before.
    begun: bool,
    event: String,
    data: String,
    has_data: bool,
    id: String,
    ready: VecDeque<Frame>,
}

impl Parser {
    /// Takes bytes as they came from the connection.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Overlong> {
        while let Some(&first) = bytes.first() {
            if mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            let part = end.unwrap_or(bytes.len());
            if self.line.len() + self.data.len() + part > FRAME_BYTES_MAX {
                return Err(Overlong);
            }
            self.line.extend_from_slice(&bytes[..part]);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = mem::take(&mut self.line);
            self.take_line(&line);
        }
        Ok(())
    }

    /// The next finished frame.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    fn take_line(&mut self, mut line: &[u8]) {
        if !mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.finish();
            return;
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (field, value) = match colon {
            // A comment: the server says that it is still there.
            Some(0) => return,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"event" => self.event = value.into_owned(),
            b"data" => {
                if mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(&value);
            }
            b"id" if !value.contains('\0') => self.id = value.into_owned(),
            // `retry` is advice to a browser; other fields are not ours.
            _ => {}
        }
    }

    fn finish(&mut self) {
        let event = mem::take(&mut self.event);
        let data = mem::take(&mut self.data);
        if !mem::take(&mut self.has_data) {
            return;
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        self.ready.push_back(Frame { event, data, id: self.id.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(event: &str, data: &str, id: &str) -> Frame {
        Frame { event: event.to_owned(), data: data.to_owned(), id: id.to_owned() }
    }

    fn read(chunks: &[&[u8]]) -> Vec<Frame> {
        let mut parser = Parser::default();
        for chunk in chunks {
            parser.push(chunk).unwrap();
        }
        std::iter::from_fn(|| parser.next_frame()).collect()
    }

    const TEXT: &str = "\u{feff}: hello\r\n\r\nevent: record\nid: 7\ndata: {\"a\":\ndata:  1}\n\n\
                        data\n\nretry: 10\n\nevent: gap\r\rdata:ä\rid\r\rdata: unfinished\n";

    fn expected() -> Vec<Frame> {
        vec![
            frame("record", "{\"a\":\n 1}", "7"),
            frame("message", "", "7"),
            frame("message", "ä", ""),
        ]
    }

    #[test]
    fn frames_are_read_with_comments_many_data_lines_and_every_line_end() {
        assert_eq!(read(&[TEXT.as_bytes()]), expected());
    }

    #[test]
    fn where_the_connection_cuts_does_not_matter() {
        for cut in 0..TEXT.len() {
            let (head, tail) = TEXT.as_bytes().split_at(cut);
            assert_eq!(read(&[head, tail]), expected(), "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), expected());
    }

    #[test]
    fn a_frame_without_end_is_refused() {
        let mut parser = Parser::default();
        let line = vec![b'x'; FRAME_BYTES_MAX];
        assert_eq!(parser.push(&line), Ok(()));
        assert_eq!(parser.push(b"x"), Err(Overlong));
    }
}
