//! Requests as core takes them: raw, since core normalises and checks in its own order (ACC-2).

use hostler_core::agent::manage;
use hostler_core::code::{Code, Rejection};
use hostler_core::input::edit;
use hostler_core::input::submit::Submit;
use hostler_core::policy::{PolicyPatch, RetryPatch};
use hostler_core::task::accept::Accept;
use hostler_core::{capacity, workspace};
use serde_json::Value;

use crate::json::policy::RetryRequest;
use crate::json::task::{Provenance, Routing};
use crate::json::{
    CreateAgent, CreateTask, CreateWorkspace, EditInput, Object, PolicyRequest, SendInput,
    UpdateAgent, UpdateInstance, UpdateWorkspace,
};

impl CreateTask {
    /// Reads one command of a batch.
    pub fn read(command: Value) -> Result<Self, Rejection> {
        if !command.is_object() {
            return Err(Rejection::new(Code::InvalidBody, "a command is an object"));
        }
        serde_path_to_error::deserialize(command).map_err(|error| {
            let detail = error.inner().to_string();
            match error.path().to_string().as_str() {
                // An unknown field of the command itself is named by the text.
                "." => Rejection::new(Code::InvalidBody, detail),
                field => Rejection::field(Code::InvalidBody, field, detail),
            }
        })
    }

    pub fn into_command(self) -> Accept {
        let CreateTask {
            message,
            agent_id,
            hook_id,
            session_id,
            session_key,
            deliver,
            timeout_ms,
            policy,
            lane,
            extra_system_prompt,
            input_provenance,
            routing,
            attachments,
            idempotency_key,
            label,
            spawned_by,
            priority,
            dir,
            budget,
        } = self;
        Accept {
            message,
            agent: agent_id,
            idempotency_key,
            session_id,
            session_key,
            hook_id,
            deliver,
            timeout_ms,
            policy: policy.map(PolicyRequest::into_patch),
            lane,
            extra_system_prompt,
            input_provenance: input_provenance.map(Provenance::into_object),
            routing: routing.map(Routing::into_object).unwrap_or_default(),
            attachments: attachments.unwrap_or_default(),
            label,
            spawned_by,
            priority,
            dir,
            budget,
        }
    }
}

impl CreateWorkspace {
    pub fn into_command(self) -> workspace::manage::CreateWorkspace {
        let CreateWorkspace { key } = self;
        workspace::manage::CreateWorkspace { key }
    }
}

impl UpdateWorkspace {
    pub fn into_command(self) -> workspace::manage::UpdateWorkspace {
        let UpdateWorkspace { paused, weight, budget } = self;
        workspace::manage::UpdateWorkspace { paused, weight, budget }
    }
}

impl UpdateInstance {
    pub fn into_command(self) -> capacity::manage::UpdateInstance {
        let UpdateInstance { concurrency, failed_attempt_threshold, weight } = self;
        capacity::manage::UpdateInstance { concurrency, failed_attempt_threshold, weight }
    }
}

impl CreateAgent {
    pub fn into_command(self) -> manage::CreateAgent {
        let CreateAgent { agent_key, name, config, active } = self;
        manage::CreateAgent { agent_key, name, config: config.unwrap_or_default(), active }
    }
}

impl UpdateAgent {
    pub fn into_command(self) -> manage::UpdateAgent {
        let UpdateAgent { name, config, active } = self;
        manage::UpdateAgent { name, config, active }
    }
}

impl SendInput {
    pub fn into_command(self) -> Submit {
        let SendInput { message, queue_mode, idempotency_key, expected_run_id, attachments } = self;
        Submit {
            message,
            queue_mode,
            idempotency_key,
            expected_run_id,
            attachments: attachments.unwrap_or_default(),
        }
    }
}

impl EditInput {
    pub fn into_command(self) -> edit::EditInput {
        let EditInput { message, attachments, position } = self;
        let position = position.map(|position| position as usize);
        edit::EditInput { message, attachments, position }
    }
}

impl PolicyRequest {
    pub fn into_patch(self) -> PolicyPatch {
        let PolicyRequest {
            host,
            security,
            ask,
            runtime_type,
            workspace_access,
            network_enabled,
            interactive,
            resources,
            retry,
        } = self;
        PolicyPatch {
            host,
            security,
            ask,
            runtime_type,
            workspace_access,
            network_enabled,
            interactive,
            resources,
            retry: retry.map(|RetryRequest { max_attempts, delay_ms }| RetryPatch {
                max_attempts,
                delay_ms,
            }),
        }
    }
}

impl Provenance {
    fn into_object(self) -> Object {
        let Provenance { source, message_id, channel, tool_call_id, correlation_id } = self;
        present([
            ("source", source),
            ("message_id", message_id),
            ("channel", channel),
            ("tool_call_id", tool_call_id),
            ("correlation_id", correlation_id),
        ])
    }
}

impl Routing {
    fn into_object(self) -> Object {
        let Routing {
            to,
            reply_to,
            channel,
            reply_channel,
            account_id,
            reply_account_id,
            thread_id,
            group_id,
            group_channel,
            group_space,
        } = self;
        present([
            ("to", to),
            ("reply_to", reply_to),
            ("channel", channel),
            ("reply_channel", reply_channel),
            ("account_id", account_id),
            ("reply_account_id", reply_account_id),
            ("thread_id", thread_id),
            ("group_id", group_id),
            ("group_channel", group_channel),
            ("group_space", group_space),
        ])
    }
}

/// The fields that were given.
fn present<const N: usize>(fields: [(&str, Option<String>); N]) -> Object {
    let given = fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    given.map(|(name, text)| (name, Value::from(text))).collect()
}
