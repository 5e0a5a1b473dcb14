//! The scripted agent: its program as a real process, spoken to by its dialogue.
//!
//! The process is this test binary, started again with [`CHILD`] set: it then runs one test,
//! [`the_program_itself`], which is the program.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use hostler_worker::agent::scripted::main_scripted;
use hostler_worker::agent::{Action, Failure, Job, TurnResult};
use serde_json::Value;
use tempfile::TempDir;

use super::{Talk, job, runner};

const CHILD: &str = "HOSTLER_TEST_SCRIPTED_STATE";
/// Long for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_program_itself() {
    let Some(state) = env::var_os(CHILD) else {
        return;
    };
    let state = state.into_string().expect("a text");
    let arguments = ["--state-dir", &state, "--session-id", "s1"].map(str::to_owned);
    std::process::exit(main_scripted(arguments.to_vec()));
}

/// A running program and the talk with it.
struct Session {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    talk: Talk,
}

impl Session {
    fn start(folder: &Path, security: &str) -> Session {
        let work = folder.join("work");
        std::fs::create_dir_all(&work).expect("a folder");
        let mut program = Command::new(env::current_exe().expect("this binary"));
        let (_, module) = module_path!().split_once("::").expect("the crate comes first");
        program.args([
            &format!("{module}::the_program_itself"),
            "--exact",
            "--nocapture",
            "--quiet",
            "--test-threads=1",
        ]);
        program.env(CHILD, folder.join("state")).current_dir(work);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = program.spawn().expect("it starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        // Each process is an attempt of its own.
        let attempt_id = format!("attempt-{}", child.id());
        let talk = Talk::begin("scripted", &Job { attempt_id, ..job(security) });
        let mut session = Session { child, input, lines, talk };
        let begun = session.talk.actions.clone();
        session.perform(&begun);
        session
    }

    fn perform(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Write(line) => {
                    let input = self.input.as_mut().expect("still open");
                    input.write_all(format!("{line}\n").as_bytes()).expect("it reads");
                }
                Action::CloseInput => self.input = None,
                _ => {}
            }
        }
    }

    fn give(&mut self, message: &str) {
        let before = self.talk.actions.len();
        self.talk.turn(message);
        let actions = self.talk.actions[before..].to_vec();
        self.perform(&actions);
    }

    fn steer(&mut self, message: &str) {
        let before = self.talk.actions.len();
        self.talk.steer(message);
        let actions = self.talk.actions[before..].to_vec();
        self.perform(&actions);
    }

    /// Read until something is so, or the output ends.
    fn until(&mut self, is_so: impl Fn(&Talk) -> bool) {
        while !is_so(&self.talk) {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                return;
            };
            let before = self.talk.actions.len();
            self.talk.stdout(&line);
            let actions = self.talk.actions[before..].to_vec();
            self.perform(&actions);
        }
    }

    /// Give a message and read until its turn has ended.
    fn turn(&mut self, message: &str) -> TurnResult {
        self.give(message);
        self.ended()
    }

    fn ended(&mut self) -> TurnResult {
        let number = self.talk.message_ids.len();
        self.until(|talk| talk.ended().len() >= number);
        self.talk.ended().last().map(|result| (*result).clone()).expect("the turn ended")
    }

    fn interrupt(&mut self) {
        let actions = self.talk.dialogue.interrupt();
        self.perform(&actions);
        self.talk.actions.extend(actions);
    }

    fn close(&mut self) -> ExitStatus {
        let actions = self.talk.dialogue.close();
        self.perform(&actions);
        self.until(|_| false);
        self.child.wait().expect("it ends")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Already gone in the good case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn steps_do_real_work_in_the_workspace() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    let result = session.turn("run: echo hello > hello.txt; cat hello.txt\nsay: written");
    assert_eq!((result.is_error, result.text.as_str()), (false, "written"));
    assert_eq!((result.reason.as_str(), result.last), ("completed", false));
    let made = std::fs::read_to_string(folder.path().join("work/hello.txt"));
    assert_eq!(made.expect("it is there"), "hello\n");
    assert_eq!(session.talk.started(), ["input-1"]);
    assert_eq!(session.talk.texts("tool_use"), ["Bash: echo hello > hello.txt; cat hello.txt"]);
    assert_eq!(session.talk.texts("tool_result"), ["hello\n"]);
    assert_eq!(session.talk.texts("text").last(), Some(&"written"));
    assert_eq!(session.close().code(), Some(0));
}

#[test]
fn a_plain_message_gets_an_honest_answer() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    let result = session.turn("say hello");
    assert!(!result.is_error);
    assert!(result.text.contains("I am not a model"), "{}", result.text);
    assert!(result.text.contains("run: echo hello > hello.txt"), "{}", result.text);
    assert!(result.text.contains("has in its workspace: nothing"), "{}", result.text);
    let identified = session.talk.actions.iter().find_map(|action| match action {
        Action::Identified { provider, model } => Some((provider.as_str(), model.as_str())),
        _ => None,
    });
    assert_eq!(identified, Some(("hostler", "scripted")));
}

#[test]
fn a_failing_command_is_shown_and_counted() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    let result = session.turn("run: echo out; echo err >&2; exit 3\nrun: true\nSay: on");
    assert!(!result.is_error);
    assert_eq!(result.text, "on\n(1 of 2 commands failed)");
    assert_eq!(session.talk.texts("tool_result")[0], "Exit code 3\nout\nerr\n");
}

#[test]
fn under_deny_commands_are_refused_by_the_same_decision() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "deny");
    let result = session.turn("run: touch made");
    assert_eq!(result.text, "1 of 1 commands failed");
    assert!(session.talk.texts("tool_result")[0].contains("security: deny"));
    assert!(!folder.path().join("work/made").exists());
}

#[test]
fn a_question_waits_for_the_next_message() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    let result = session.turn("ask: shall I?\nsay: never said");
    assert!(result.waiting_for_input && !result.is_error);
    assert_eq!(result.text, "shall I?");
    assert!(!session.turn("say: thanks").waiting_for_input);
}

#[test]
fn failures_are_of_the_kind_the_script_asks_for() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    let failed = session.turn("fail: no luck\nrun: touch made");
    assert_eq!((failed.is_error, failed.failure), (true, Failure::None));
    assert_eq!((failed.text.as_str(), failed.reason.as_str()), ("no luck", "failed"));
    assert_eq!(session.turn("api-error: 529 busy").failure, Failure::Overloaded);
    assert_eq!(session.turn("api-error: 400").failure, Failure::Rejected);
    assert!(session.turn("wait: soon").is_error);
    assert!(!folder.path().join("work/made").exists());
}

#[test]
fn usage_is_reported_per_turn() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    let first = session.turn("usage: in=100 out=20 usd=0.5\nusage: in=1 cache_read=7").usage;
    assert_eq!((first.input_tokens, first.output_tokens), (101, 20));
    assert_eq!((first.cache_read_tokens, first.cost_micro_usd), (7, 500_000));
    let second = session.turn("say: nothing").usage;
    assert_eq!((second.input_tokens, second.cost_micro_usd), (0, 0));
}

#[test]
fn memory_and_transcript_outlive_the_process() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.turn("remember: colour=green");
    assert_eq!(session.turn("recall: size").text, "I remember nothing about size.");
    assert_eq!(session.close().code(), Some(0));
    let mut again = Session::start(folder.path(), "allowlist");
    assert_eq!(again.turn("recall: colour").text, "colour = green");
    assert!(again.turn("hello").text.contains("3 turns of this conversation came before"));
}

#[test]
fn an_interrupt_ends_a_wait_and_a_command_but_not_the_process() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    for script in ["say: waiting\nwait: 10m", "run: echo $$ > pid; sleep 600"] {
        let started = session.talk.started().len();
        session.give(script);
        session.until(|talk| {
            talk.started().len() > started && talk.texts("control_request").len() >= started
        });
        session.interrupt();
        let result = session.ended();
        assert_eq!((result.is_error, result.reason.as_str()), (true, "aborted_tools"), "{script}");
    }
    assert_eq!(session.turn("say: alive").text, "alive");
}

#[test]
fn a_message_given_meanwhile_is_a_turn_of_its_own() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.give("run: true\nsay: first");
    session.give("say: second");
    session.until(|talk| talk.ended().len() == 2);
    let texts: Vec<String> =
        session.talk.ended().iter().map(|result| result.text.clone()).collect();
    assert_eq!(texts, ["first", "second"]);
}

#[test]
fn a_steer_is_done_before_the_steps_that_remain() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.give("say: begun\nrun: until [ -e go ]; do sleep 0.01; done\nsay: last");
    session.until(|talk| talk.texts("tool_use").len() == 1);
    session.steer("run: true\nsay: joined");
    session.steer("be careful");
    session.until(|talk| {
        talk.texts("command_lifecycle").iter().filter(|text| text.contains("queued")).count() == 3
    });
    std::fs::write(folder.path().join("work/go"), "").expect("a file");
    session.until(|talk| talk.ended().len() == 1);
    let told =
        ["started input-1", "injected input-2", "injected input-3", "ended input-1 completed"];
    assert_eq!(session.talk.told(), told);
    let said = ["begun", "joined", "I was told meanwhile: be careful", "last"];
    assert!(session.talk.texts("text").ends_with(&said));
    // The conversation knows them: a repeated one is skipped, and a later process counts turns.
    assert_eq!(session.close().code(), Some(0));
    let mut again = Session::start(folder.path(), "allowlist");
    assert!(again.turn("hello").text.contains("One turn of this conversation came before"));
    let steer = super::input(2, "run: true\nsay: joined");
    let actions = again.talk.dialogue.steer(&steer);
    again.perform(&actions);
    again.until(|talk| talk.told().len() == 3);
    assert_eq!(again.talk.told()[2], "injected input-2");
}

#[test]
fn a_steer_that_finds_no_step_left_is_a_turn_of_its_own() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.give("wait: 500ms");
    session.until(|talk| talk.started().len() == 1);
    session.steer("say: second");
    session.until(|talk| talk.ended().len() == 2);
    let told = [
        "started input-1",
        "ended input-1 completed",
        "started input-2",
        "ended input-2 completed",
    ];
    assert_eq!(session.talk.told(), told);
    assert_eq!(session.talk.ended()[1].text, "second");
}

#[test]
fn an_interrupt_returns_the_steers_that_wait() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.give("wait: 10m\nsay: never");
    session.until(|talk| talk.started().len() == 1);
    session.steer("say: never either");
    session.interrupt();
    session.until(|talk| talk.ended().len() == 1);
    let told = ["started input-1", "returned input-2", "ended input-1 aborted_tools"];
    assert_eq!(session.talk.told(), told);
    session.give("say: alive");
    session.until(|talk| talk.ended().len() == 2);
    assert_eq!(session.talk.ended()[1].text, "alive");
}

#[test]
fn what_is_used_is_told_with_the_next_text() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.turn("usage: in=100 out=20\nsay: one\nusage: in=1\nsay: two");
    let spent = session.talk.actions.iter().filter_map(|action| match action {
        Action::Spent(usage) => Some((usage.input_tokens, usage.output_tokens)),
        _ => None,
    });
    assert_eq!(spent.collect::<Vec<_>>(), [(100, 20), (101, 20)]);
}

#[test]
fn crash_and_exit_end_the_process_without_a_result() {
    use std::os::unix::process::ExitStatusExt;
    for (script, code, signal) in
        [("crash", None, Some(9)), ("exit: 3", Some(3), None), ("exit: 0", Some(0), None)]
    {
        let folder = folder();
        let mut session = Session::start(folder.path(), "allowlist");
        session.give(script);
        session.until(|_| false);
        let status = session.child.wait().expect("it ends");
        assert_eq!((status.code(), status.signal()), (code, signal), "{script}");
        assert_eq!(session.talk.started(), ["input-1"]);
        assert_eq!(session.talk.ended().len(), 0, "{script}");
    }
}

#[test]
fn ignored_signals_do_not_end_it() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.turn("ignore-signals");
    let id = session.child.id().to_string();
    let result = session.turn(&format!("run: kill -TERM {id}; kill -INT {id}; kill -HUP {id}"));
    assert_eq!(result.text, "1 of 1 commands succeeded");
    assert_eq!(session.turn("say: still here").text, "still here");
}

#[test]
fn closing_the_input_lets_the_running_turn_end() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.give("wait: 50ms\nsay: finished\nfail: with this");
    assert_eq!(session.close().code(), Some(1), "the code follows the last result");
    assert_eq!(session.talk.ended()[0].text, "with this");
}

#[test]
fn a_line_that_is_no_json_ends_the_process() {
    let folder = folder();
    let mut session = Session::start(folder.path(), "allowlist");
    session.perform(&[Action::Write("hello?".to_owned())]);
    session.until(|_| false);
    assert_eq!(session.child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn its_launch_mounts_this_program_and_needs_no_model() {
    let input = super::input(1, "hello");
    let launch = runner("scripted").launch(&job("allowlist"), &input).expect("it is built in");
    assert_eq!(launch.argv[..2], ["/opt/agent/hostler", "scripted-agent"]);
    assert_eq!(launch.binds[0].1, "/opt/agent/hostler");
    assert!(!launch.needs_model);
    assert!(runner("scripted").probe().is_ok_and(|text| text.starts_with("built in")));
    let secret = |value: &Value| value.as_str().is_some_and(|text| text.contains("sk-ant"));
    assert!(!launch.env.iter().any(|(_, value)| secret(&Value::from(value.clone()))));
}
