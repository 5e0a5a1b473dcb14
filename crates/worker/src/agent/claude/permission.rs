//! # What a tool call may do
//!
//! **What** The one decision about a tool call of the agent, whichever way it was asked.
//!
//! **Invariants** Under security `deny` only tools known to run no command pass: an unknown tool
//! is one that runs commands. Any security that is not known is `deny`.
//!
//! **Failure** A denial tells the model why, so that it can go on in another way.
//!
//! **Not here** For `allowlist` and `full` the sandbox is the boundary; matching commands against
//! the agent's list and asking a person are not decided here.

use serde_json::Value;

/// Tools that run commands; under `deny` they are not even offered to the model.
pub const COMMAND_TOOLS: [&str; 5] = ["Bash", "PowerShell", "Monitor", "EnterWorktree", "Workflow"];

/// Tools that run no command themselves; what a subagent does is asked for again.
const SAFE_TOOLS: [&str; 30] = [
    "Agent",
    "AskUserQuestion",
    "CronCreate",
    "CronDelete",
    "CronList",
    "Edit",
    "EnterPlanMode",
    "ExitPlanMode",
    "ExitWorktree",
    "Glob",
    "Grep",
    "LS",
    "ListAgents",
    "MultiEdit",
    "NotebookEdit",
    "NotebookRead",
    "Read",
    "ReportFindings",
    "ScheduleWakeup",
    "SendMessage",
    "Skill",
    "StructuredOutput",
    "Task",
    "TaskOutput",
    "TaskStop",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
    "Write",
];

/// The tool by which the model puts a question to a person.
pub const QUESTION_TOOL: &str = "AskUserQuestion";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny(String),
}

pub fn may_run_commands(security: &str) -> bool {
    matches!(security, "allowlist" | "full")
}

pub fn decide(security: &str, tool: &str, input: &Value) -> Decision {
    if tool == QUESTION_TOOL {
        return Decision::Deny(
            "Questions are answered in the conversation: write the question as your message and \
             end your turn. The answer comes as the next message."
                .to_owned(),
        );
    }
    if may_run_commands(security) {
        return Decision::Allow;
    }
    if !SAFE_TOOLS.contains(&tool) {
        return Decision::Deny(format!(
            "{tool} was refused: the policy of this task (security: deny) lets the agent run no \
             commands."
        ));
    }
    // Its own settings can name commands that the program runs by itself.
    let path = ["file_path", "notebook_path"].iter().find_map(|key| input[*key].as_str());
    let writes = matches!(tool, "Write" | "Edit" | "MultiEdit" | "NotebookEdit");
    if writes && path.is_some_and(|path| !is_in_workspace(path)) {
        return Decision::Deny(format!(
            "{tool} was refused: under security deny the agent writes in its workspace only."
        ));
    }
    Decision::Allow
}

fn is_in_workspace(path: &str) -> bool {
    let relative = !path.starts_with(['/', '~']);
    let below = path.starts_with(&format!("{}/", crate::agent::WORKSPACE_DIR));
    (relative || below) && !path.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_allowed(security: &str, tool: &str, input: Value) -> bool {
        decide(security, tool, &input) == Decision::Allow
    }

    #[test]
    fn deny_refuses_commands_and_tools_it_does_not_know() {
        for tool in COMMAND_TOOLS.iter().chain(&["mcp__shell__run", "NewTool"]) {
            assert!(!is_allowed("deny", tool, json!({"command": "true"})), "{tool}");
            assert!(!is_allowed("", tool, json!({"command": "true"})), "{tool}");
            assert!(is_allowed("full", tool, json!({"command": "true"})), "{tool}");
            assert!(is_allowed("allowlist", tool, json!({"command": "true"})), "{tool}");
        }
        assert!(is_allowed("deny", "Read", json!({"file_path": "/etc/hosts"})));
        assert!(is_allowed("deny", "Agent", json!({"prompt": "look"})));
    }

    #[test]
    fn deny_lets_the_agent_write_in_its_workspace_only() {
        for (path, allowed) in [
            ("/workspace/a.txt", true),
            ("notes/a.txt", true),
            ("/home/agent/state/claude/settings.json", false),
            ("/workspace/../home/agent/x", false),
            ("~/x", false),
        ] {
            assert_eq!(is_allowed("deny", "Write", json!({"file_path": path})), allowed, "{path}");
        }
    }

    #[test]
    fn questions_belong_into_the_conversation() {
        for security in ["deny", "allowlist", "full"] {
            assert!(!is_allowed(security, QUESTION_TOOL, json!({})));
        }
    }
}
