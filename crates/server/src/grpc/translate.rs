//! Between the frames of the worker protocol and the engine's commands.

use crate::depth::nesting;
use hostler_core::capacity::claim::Assignment;
use hostler_core::command::Command;
use hostler_core::id::{AttemptId, IncarnationId, InputId, WorkerId};
use hostler_core::input::Input;
use hostler_core::lease::Can;
use hostler_core::limits;
use hostler_core::run::Usage;
use hostler_core::run::outcome::{Cause, Failure};
use hostler_core::run::start::{Event, TurnEnded, Verdict, What, Writer};
use hostler_core::stream::{Body, Channel, Record};
use hostler_core::text::shortened;
use hostler_core::time::Timestamp;
use hostler_core::worker::Offer;
use hostler_core::worker::append::Chunk;
use hostler_core::worker::beat::Beat;
use hostler_core::worker::hello::{Held, Hello};
use hostler_wire::v1;
use serde_json::{Map, Value};
use tonic::Status;

fn parse<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("{field} is no UUID: {text:?}")))
}

pub fn ids(ids: Vec<AttemptId>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

pub fn hello(hello: v1::Hello) -> Result<Hello, Status> {
    let incarnation: IncarnationId = parse("incarnation", &hello.incarnation)?;
    Ok(Hello {
        writer: Writer { worker_id: WorkerId(hello.worker_id), incarnation },
        offer: Offer {
            pool: hello.pool,
            runtimes: hello.runtimes,
            runners: hello.runners,
            cpu_millis: hello.cpu_millis,
            memory_bytes: hello.memory_bytes,
            gpus: hello.gpus,
            labels: hello.labels.into_iter().collect(),
            version: hello.version,
        },
        held: held(&hello.held)?,
    })
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), Status> {
    if count <= most {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{count} {what}; at most {most} are allowed")))
}

fn held(held: &[v1::Held]) -> Result<Vec<Held>, Status> {
    at_most("attempts held", held.len(), limits::SLOTS_MAX as usize)?;
    let one = |held: &v1::Held| {
        let inputs = held.inputs.iter().map(|id| parse("inputs", id));
        Ok(Held {
            attempt_id: parse("attempt_id", &held.attempt_id)?,
            term: held.term,
            inputs: inputs.collect::<Result<_, Status>>()?,
        })
    };
    held.iter().map(one).collect()
}

pub fn beat(writer: Writer, beat: &v1::Heartbeat) -> Result<Command, Status> {
    Ok(Command::Beat(Box::new(Beat { writer, held: held(&beat.held)? })))
}

pub fn report(writer: Writer, report: v1::Report) -> Result<Command, Status> {
    at_most("events in a report", report.events.len(), limits::REPORT_EVENTS_MAX)?;
    let events: Result<Vec<Event>, Status> = report.events.into_iter().map(event).collect();
    Ok(Command::Report { writer, events: events? })
}

fn event(event: v1::ExecutionEvent) -> Result<Event, Status> {
    use v1::execution_event::Event as Told;
    let what = match event.event {
        Some(Told::Started(started)) => What::Started {
            provider: name(&started.provider),
            model: name(&started.model),
            can: Can {
                steer: started.can_steer,
                interrupt: started.can_interrupt,
                keep: started.keeps,
            },
        },
        Some(Told::TurnStarted(started)) => {
            What::TurnStarted { input_id: parse("input_id", &started.input_id)? }
        }
        Some(Told::TurnEnded(ended)) => What::TurnEnded(Box::new(turn_ended(ended)?)),
        Some(Told::Injected(injected)) => {
            What::Injected { input_id: parse("input_id", &injected.input_id)? }
        }
        Some(Told::Returned(returned)) => {
            What::Returned { input_id: parse("input_id", &returned.input_id)? }
        }
        Some(Told::Spent(spent)) => What::Spent {
            input_id: parse("input_id", &spent.input_id)?,
            usage: usage(spent.usage.unwrap_or_default()),
        },
        Some(Told::Ended(ended)) => What::Ended { cause: cause(&ended)?, detail: ended.error },
        None => return Err(Status::invalid_argument("an event without a kind")),
    };
    Ok(Event { attempt_id: parse("attempt_id", &event.attempt_id)?, term: event.term, what })
}

/// What an agent calls itself, its model or the reason of an end: a line, not a text.
fn line(text: &str) -> String {
    shortened(text, limits::TEXT_BYTES_MAX).to_owned()
}

fn name(text: &str) -> Option<String> {
    Some(line(text)).filter(|text| !text.is_empty())
}

fn turn_ended(ended: v1::TurnEnded) -> Result<TurnEnded, Status> {
    let input_id: InputId = parse("input_id", &ended.input_id)?;
    let failure =
        match ended.failure.as_str() {
            "" => None,
            text => Some(Failure::parse(text).ok_or_else(|| {
                Status::invalid_argument(format!("{text:?} is no class of failure"))
            })?),
        };
    Ok(TurnEnded {
        input_id,
        is_error: ended.is_error,
        reason: line(&ended.reason),
        text: ended.text,
        waiting_for_input: ended.waiting_for_input,
        usage: usage(ended.usage.unwrap_or_default()),
        failure,
        last: ended.last,
    })
}

fn usage(usage: v1::Usage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        cost_micro_usd: usage.cost_micro_usd,
    }
}

fn cause(ended: &v1::Ended) -> Result<Cause, Status> {
    use v1::ended::Cause as Told;
    Ok(match ended.cause() {
        Told::Exited => Cause::Exited { code: ended.exit_code.unwrap_or(-1) },
        Told::Closed => Cause::Closed,
        Told::Cancelled => Cause::Stopped,
        Told::TimedOut => Cause::TimedOut,
        Told::SandboxFailed => Cause::SandboxFailed,
        Told::Refused => Cause::Refused,
        Told::Crashed => Cause::Crashed,
        Told::CheckFailed => Cause::CheckFailed { code: ended.exit_code.unwrap_or(-1) },
        Told::Unspecified => return Err(Status::invalid_argument("`ended` without a cause")),
    })
}

pub fn logs(writer: Writer, batch: v1::LogBatch) -> Result<Command, Status> {
    at_most("log chunks in a batch", batch.chunks.len(), limits::BATCH_CHUNKS_MAX)?;
    let chunks: Result<Vec<Chunk>, Status> = batch.chunks.into_iter().map(chunk).collect();
    Ok(Command::Append { writer, chunks: chunks? })
}

fn chunk(chunk: v1::LogChunk) -> Result<Chunk, Status> {
    at_most("records in a log chunk", chunk.records.len(), limits::CHUNK_RECORDS_MAX)?;
    let bytes = chunk.records.iter().map(|record| record.data.len()).sum();
    at_most("bytes of data in a log chunk", bytes, limits::CHUNK_BYTES_MAX)?;
    let records: Result<Vec<Record>, Status> = chunk.records.into_iter().map(record).collect();
    Ok(Chunk {
        attempt_id: parse("attempt_id", &chunk.attempt_id)?,
        term: chunk.term,
        number: chunk.number,
        records: records?,
    })
}

fn record(record: v1::LogRecord) -> Result<Record, Status> {
    let stream = Channel::parse(&record.stream).ok_or_else(|| {
        let text = format!("{:?} is no stream; allowed: {}", record.stream, Channel::list());
        Status::invalid_argument(text)
    })?;
    if nesting(record.metadata_json.as_bytes()) > limits::PAYLOAD_DEPTH_MAX {
        let text = "the metadata of a log record is nested too deep";
        return Err(Status::invalid_argument(text));
    }
    let metadata = match record.metadata_json.as_str() {
        "" => None,
        text => Some(serde_json::from_str::<Map<String, Value>>(text).map_err(|_| {
            Status::invalid_argument("the metadata of a log record is not a JSON object")
        })?),
    };
    let body = Body::Log { stream, data: record.data, chunk_type: record.chunk_type, metadata };
    Ok(Record { ts: Timestamp(record.ts_ms), run_id: None, attempt_id: None, body })
}

pub fn verdict(attempt_id: String, verdict: Verdict) -> v1::EventAck {
    use v1::event_ack::Verdict as Told;
    let (told, input) = match verdict {
        Verdict::Accepted => (Told::Accepted, None),
        Verdict::Fenced => (Told::Fenced, None),
        Verdict::Next(input) => (Told::Next, Some(turn_input(*input))),
        Verdict::Wait => (Told::Wait, None),
        Verdict::Close => (Told::Close, None),
        Verdict::Illegal => (Told::Illegal, None),
    };
    v1::EventAck { attempt_id, verdict: told.into(), input }
}

pub fn turn_input(input: Input) -> v1::TurnInput {
    v1::TurnInput {
        input_id: input.id.to_string(),
        message: input.message,
        attachments_json: Value::Array(input.attachments).to_string(),
    }
}

pub fn assignment(assignment: Assignment) -> v1::Assignment {
    let Assignment {
        worker_id: _,
        lease,
        attempt_no,
        runtime,
        resume,
        budget_micro_usd,
        task,
        agent,
        input,
    } = assignment;
    let details = task.details;
    let mut context = Map::new();
    let mut keep = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            context.insert(name.to_owned(), value);
        }
    };
    keep("label", details.label.map(Value::from));
    keep("spawned_by", details.spawned_by.map(Value::from));
    keep("deliver", details.deliver.map(Value::from));
    keep("input_provenance", details.input_provenance.map(Value::from));
    let policy = &task.policy;
    v1::Assignment {
        attempt_id: lease.attempt_id.to_string(),
        term: lease.term,
        workspace: lease.workspace_id.to_string(),
        task_id: task.id.to_string(),
        run_id: lease.run_id.to_string(),
        attempt_no,
        agent_id: agent.id.to_string(),
        agent_key: agent.agent_key,
        session_id: lease.session_id.0,
        resume,
        config_json: Value::Object(agent.config).to_string(),
        runtime,
        policy: Some(v1::Policy {
            security: policy.security.as_str().to_owned(),
            ask: policy.ask.as_str().to_owned(),
            workspace_access: policy.workspace_access.as_str().to_owned(),
            network_enabled: policy.network_enabled,
            interactive: policy.interactive,
            cpu_millis: policy.resource("cpu"),
            memory_bytes: policy.resource("memory"),
            gpus: u32::try_from(policy.resource("gpu")).unwrap_or(u32::MAX),
        }),
        timeout_ms: details.timeout_ms,
        extra_system_prompt: details.extra_system_prompt,
        context_json: Value::Object(context).to_string(),
        input: Some(turn_input(input)),
        dir: details.dir,
        budget_micro_usd,
    }
}
