//! Server-sent events of a task's stream (STR-2).
//!
//! **Invariants** A reader takes the next page when the one before has gone out: a slow client
//! holds one page and what its connection buffers, whatever the stream has grown to (STR-4).
//! Readers that are furthest on share what they read from there on: it is read from the store and
//! made into text once, however many they are.
//!
//! **Failure** A store that cannot be read ends the stream; the reader comes back with its cursor.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hostler_core::code::Code;
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::limits;
use hostler_store::LogRange;
use hostler_wire::convert;
use hostler_wire::json::TaskSnapshot;
use hostler_wire::json::stream::EVENT_SNAPSHOT;
use serde::Serialize;
use tokio::time::Instant;

use crate::http::App;
use crate::http::fault::Fault;
use crate::tails::{Follower, Shown};

/// A reader looks again after this long although nobody told it of more: the floor under a hint
/// that got lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A reader that has seen everything is served no more often than this: a stream that grows a
/// thousand times a second does not wake each of its readers as often.
const PACE: Duration = Duration::from_millis(25);
/// After so many looks in vain a comment is sent, which shows that the connection lives.
const LOOKS_MAX: u32 = 3;
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// Data that a reader holds at a time, about: little, since there may be many readers.
const BYTES_AT_ONCE: usize = 64 << 10;

pub async fn server_sent(
    app: App,
    workspace: WorkspaceId,
    id: TaskId,
    after: u64,
) -> Result<Response, Fault> {
    // Followed before anything is read: what comes in between is told, never missed.
    let follower = app.tails.follow(id);
    let task = app.view.task(workspace, id).await?;
    let run = match task.target_run_id {
        Some(run) => Some(app.view.run_json(app.view.run(workspace, run).await?).await?),
        None => None,
    };
    let last_seq = app.view.end(id).await?;
    let task = app.view.task_json(task).await?;
    let mut first = Vec::new();
    write_event(&mut first, EVENT_SNAPSHOT, None, &TaskSnapshot { task, run, last_seq })?;
    let reader = Reader { app, id, after, follower, is_ahead: false, looks: 0, served_at: None };
    let records = futures_util::stream::unfold(reader, Reader::next);
    let first = futures_util::stream::once(async move { Ok(Bytes::from(first)) });
    let body = Body::from_stream(futures_util::StreamExt::chain(first, records));
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, body).into_response())
}

/// JSON has no line ends of its own, so the data is one line.
fn write_event(
    text: &mut Vec<u8>,
    name: &str,
    id: Option<u64>,
    data: &impl Serialize,
) -> Result<(), Fault> {
    text.extend_from_slice(format!("event: {name}\n").as_bytes());
    if let Some(id) = id {
        text.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    text.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut *text, data)
        .map_err(|_| Fault::new(Code::Internal, "an event is not plain data"))?;
    text.extend_from_slice(b"\n\n");
    Ok(())
}

/// One reader of a stream, at its own pace.
struct Reader {
    app: App,
    id: TaskId,
    after: u64,
    follower: Follower,
    /// It has seen everything that there was, or as much as any other reader.
    is_ahead: bool,
    /// How often it has looked in vain.
    looks: u32,
    /// When it was served last.
    served_at: Option<Instant>,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Reader)> {
        loop {
            if let Some(served_at) = self.served_at.take() {
                tokio::time::sleep_until(served_at + PACE).await;
            }
            let page = self.read().await.ok()?;
            if page.end > self.after {
                let text = page.above(self.after);
                (self.after, self.looks) = (page.end, 0);
                self.served_at = page.is_last.then(Instant::now);
                return Some((Ok(text), self));
            }
            drop(page);
            if self.looks == LOOKS_MAX {
                self.looks = 0;
                return Some((Ok(COMMENT), self));
            }
            tokio::select! {
                () = self.follower.grown_beyond(self.after) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => self.looks += 1,
                () = self.app.stopping.cancelled() => return None,
            }
        }
    }

    async fn read(&mut self) -> Result<Arc<Shown>, Fault> {
        let fetch = fetch(&self.app, self.id, self.after);
        let (page, is_first) = match self.is_ahead {
            true => self.follower.share(self.after, fetch).await?,
            // Whoever has much to read yet does not hold up the others.
            false => (Arc::new(fetch.await?), false),
        };
        self.is_ahead = is_first || page.is_last;
        Ok(page)
    }
}

async fn fetch(app: &App, task: TaskId, after: u64) -> Result<Shown, Fault> {
    let (limit, bytes) = (limits::STREAM_PAGE_MAX, BYTES_AT_ONCE);
    let (records, stream_end) = app.view.records(LogRange { task, after, limit, bytes }).await?;
    let (mut text, mut ends, mut end) = (Vec::new(), Vec::new(), after);
    for one in &records {
        let record = convert::record(one.seq, &one.record);
        end = record.cursor();
        write_event(&mut text, record.event_name(), Some(end), &record)?;
        ends.push((end, text.len()));
    }
    Ok(Shown { after, end, text: text.into(), ends, is_last: end >= stream_end })
}
