//! Server-sent events of a task's stream (STR-2).
//!
//! **Invariants** A reader takes the next page when the one before has gone out: a slow client
//! holds one page and what its connection buffers, whatever the stream has grown to (STR-4).
//! Readers that are furthest on share what they read from there on: it is read from the
//! store and put into JSON once, however many they are.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use hostler_core::code::Code;
use hostler_core::id::{TaskId, WorkspaceId};
use hostler_core::limits;
use hostler_store::LogRange;
use hostler_wire::convert;
use hostler_wire::json::TaskSnapshot;

use crate::http::App;
use crate::http::fault::Fault;
use crate::tails::{Follower, Shown};

/// A reader looks again after this long although nobody told it of more: the floor under a hint
/// that got lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
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
    let snapshot = TaskSnapshot { task, run, last_seq };
    let first = Event::default().event("snapshot").json_data(&snapshot);
    let first = first.map_err(|_| Fault::new(Code::Internal, "the snapshot is not plain data"))?;
    let reader = Reader { app, id, after, follower, page: None, is_ahead: false };
    let records = futures_util::stream::unfold(reader, Reader::next);
    let first = futures_util::stream::once(async move { Ok(first) });
    let events = futures_util::StreamExt::chain(first, records);
    Ok(Sse::new(boxed(events)).keep_alive(KeepAlive::default()).into_response())
}

type Events = std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

fn boxed(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Events {
    Box::pin(events)
}

/// One reader of a stream, at its own pace.
struct Reader {
    app: App,
    id: TaskId,
    after: u64,
    follower: Follower,
    /// What is being sent, and how much of it has been.
    page: Option<(Arc<Shown>, usize)>,
    /// It has seen everything that there was, or as much as any other reader.
    is_ahead: bool,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Reader)> {
        loop {
            if let Some(event) = self.next_of_page() {
                return Some((Ok(event), self));
            }
            // A store that cannot be read ends the stream; the reader comes back with its cursor.
            let page = self.read().await.ok()?;
            if page.end > self.after {
                self.page = Some((page, 0));
                continue;
            }
            drop(page);
            tokio::select! {
                () = self.follower.grown_beyond(self.after) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.app.stopping.cancelled() => return None,
            }
        }
    }

    fn next_of_page(&mut self) -> Option<Event> {
        let (page, sent) = self.page.as_mut()?;
        while let Some((cursor, event)) = page.events.get(*sent) {
            *sent += 1;
            if *cursor > self.after {
                self.after = *cursor;
                return Some(event.clone());
            }
        }
        self.page = None;
        None
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
    let show = |one: &hostler_store::Sequenced| {
        let record = convert::record(one.seq, &one.record);
        let cursor = record.cursor();
        let event = Event::default().event(record.event_name()).id(cursor.to_string());
        event.json_data(&record).map(|event| (cursor, event))
    };
    let events: Result<Vec<_>, _> = records.iter().map(show).collect();
    let events = events.map_err(|_| Fault::new(Code::Internal, "a record is not plain data"))?;
    let end = events.last().map_or(after, |(cursor, _)| *cursor);
    Ok(Shown { after, end, events, is_last: end >= stream_end })
}
