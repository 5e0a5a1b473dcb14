//! A raw client of HTTP/1.1 with a connection that is kept: it costs next to nothing, so that
//! what is measured is the server.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Fault;

/// The agent of every load.
pub const AGENT: &str = "bench";
const BASE: &str = "/api/v1/workspaces/default";

/// Which server, and what it wants to see.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: String,
    pub token: String,
}

pub struct Client {
    stream: TcpStream,
    /// The headers that every request has.
    headers: String,
    answer: Vec<u8>,
}

impl Client {
    pub async fn connect(target: &Target) -> Result<Client, Fault> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        let headers = format!(
            "host: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
            target.address, target.token
        );
        Ok(Client { stream, headers, answer: Vec::with_capacity(64 << 10) })
    }

    /// Posts, and waits for the whole answer: its status and its body.
    pub async fn post(&mut self, path: &str, body: &str) -> Result<(u16, &[u8]), Fault> {
        let length = body.len();
        let headers = &self.headers;
        let request = format!(
            "POST {BASE}{path} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        self.exchange(&request).await
    }

    /// Reads what must be there.
    pub async fn get(&mut self, path: &str) -> Result<&[u8], Fault> {
        let request = format!("GET {BASE}{path} HTTP/1.1\r\n{}\r\n", self.headers);
        match self.exchange(&request).await? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(unexpected(status, answer)),
        }
    }

    /// Makes something new.
    pub async fn make(&mut self, path: &str, body: &str) -> Result<(), Fault> {
        match self.post(path, body).await? {
            (201, _) => Ok(()),
            (status, answer) => Err(unexpected(status, answer)),
        }
    }

    async fn exchange(&mut self, request: &str) -> Result<(u16, &[u8]), Fault> {
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        let (head, length) = loop {
            self.more().await?;
            if let Some(head) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (head, content_length(&self.answer[..head])?);
            }
        };
        let end = head + 4 + length;
        while self.answer.len() < end {
            self.more().await?;
        }
        let status = self.answer.get(9..12).and_then(|text| str::from_utf8(text).ok());
        let status = status.and_then(|text| text.parse().ok()).ok_or("no status line")?;
        Ok((status, &self.answer[head + 4..end]))
    }

    async fn more(&mut self) -> Result<(), Fault> {
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }

    /// Posts a command that must be accepted anew.
    pub async fn accept(&mut self, body: &str) -> Result<(), Fault> {
        match self.post("/tasks", body).await? {
            (202, _) => Ok(()),
            (status, answer) => Err(unexpected(status, answer)),
        }
    }

    /// Makes the agent of the loads where it is not there.
    pub async fn make_agent(&mut self) -> Result<(), Fault> {
        let config = json!({ "runner": "scripted", "max_concurrency": 10_000 });
        let agent: Value = json!({ "agent_key": AGENT, "name": AGENT, "config": config });
        match self.post("/agents", &agent.to_string()).await? {
            (201 | 409, _) => Ok(()),
            (status, answer) => Err(unexpected(status, answer)),
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize, Fault> {
    let head = str::from_utf8(head)?.to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Ok(line.ok_or("an answer without its length")?.trim().parse()?)
}

fn unexpected(status: u16, answer: &[u8]) -> Fault {
    format!("status {status}: {}", String::from_utf8_lossy(answer)).into()
}
