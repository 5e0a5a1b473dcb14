//! What an execution reports, as the protocol has it.

use hostler_core::limits;
use hostler_core::text::shortened;
use hostler_wire::v1::{self, LogRecord};

use crate::agent::{Failure, Log, TurnResult, Usage};
use crate::clock::wall_ms;

pub(super) fn record(log: Log) -> LogRecord {
    let metadata = log.metadata.map(serde_json::Value::Object);
    LogRecord {
        ts_ms: wall_ms(),
        stream: log.stream.to_owned(),
        data: log.data,
        chunk_type: log.chunk_type,
        metadata_json: metadata.map(|value| value.to_string()).unwrap_or_default(),
    }
}

pub(super) fn turn_ended(result: TurnResult) -> v1::TurnEnded {
    let failure = match result.failure {
        Failure::None => "",
        Failure::Rejected => "rejected",
        Failure::Overloaded => "overloaded",
        Failure::Configuration => "configuration",
        Failure::Budget => "budget",
    };
    v1::TurnEnded {
        input_id: result.input_id,
        is_error: result.is_error,
        reason: result.reason,
        text: shortened(&result.text, limits::RESULT_BYTES_MAX).to_owned(),
        waiting_for_input: result.waiting_for_input,
        usage: Some(usage(result.usage)),
        failure: failure.to_owned(),
        last: result.last,
    }
}

pub(super) fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_tokens: usage.cache_read_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        cost_micro_usd: usage.cost_micro_usd,
        models_json: usage.models.map(|models| models.to_string()).unwrap_or_default(),
    }
}
