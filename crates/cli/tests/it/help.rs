//! What `--help` says: a contract for people and for scripts.

use expect_test::{Expect, expect};

use super::host::Host;

fn check(words: &[&str], expected: Expect) {
    let help = Host::new().run(words).ends_with(0).out;
    // Blanks at the end of lines are nobody's contract.
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    expected.assert_eq(&format!("{}\n", lines.join("\n")));
}

#[test]
fn the_commands_and_their_exit_codes() {
    check(
        &["--help"],
        expect![[r#"
            Durable orchestration of AI agents

            Usage: hostler [OPTIONS] <COMMAND>

            Commands:
              dev          Server and worker in one process, for this machine
              server       The server alone
              worker       A worker for a server
              run          Give an agent work and follow it
              tasks        What was asked, and what became of it
              send         Send a message to a task: while its agent works, or to go on with it
              inputs       Messages of a task: what became of each, and changes to those that wait
              agents       The configured agents
              runs         The runs of tasks, and their attempts
              schedules    Rules that make tasks at their times
              instances    Concurrency and health of each class of work
              budgets      What agents and the workspace may spend
              workspaces   Tenants: each has agents, tasks and schedules of its own
              workers      The workers of the server
              doctor       What works here, what is missing, and how to get it
              completions  A completion script for a shell
              version      The version
              help         Print this message or the help of the given subcommand(s)

            Options:
              -h, --help
                      Print help (see a summary with '-h')

              -V, --version
                      Print version

            Global options:
                  --json
                      Print JSON: one document, or one a line where more than one follows; errors
                      too

                  --url <URL>
                      The server; without it the one running on this data directory

                      [env: HOSTLER_URL=]

                  --token <TOKEN>
                      The token; better given by the environment, where no process list shows it

                      [env: HOSTLER_TOKEN]

                  --workspace <WORKSPACE>
                      The workspace

                      [env: HOSTLER_WORKSPACE=]
                      [default: default]

                  --data-dir <DIR>
                      Where data is kept; without it $XDG_DATA_HOME/hostler or
                      ~/.local/share/hostler

                      [env: HOSTLER_DATA_DIR=]

                  --log-format <LOG_FORMAT>
                      The form of the log on standard error; RUST_LOG says how much

                      [default: text]
                      [possible values: text, json]

            Exit codes:
              0  done
              1  the run did not end well
              2  the command line or a field of the request is wrong
              3  what was named is not there
              4  it is in a state that does not allow this
              5  the token is missing, wrong, or may not do this
              6  the server cannot be reached, is overloaded, or failed

            Begin with `hostler run "say: hello"`, or `hostler doctor`.
        "#]],
    );
}

#[test]
fn run() {
    check(
        &["run", "--help"],
        expect![[r#"
            Give an agent work and follow it

            The server is the one named by --url or HOSTLER_URL, else the one that runs on this data
            directory, else one that is started for this run and ends with it. The agent is the one
            named, else a configured one (`default` first), else Claude Code where it is installed
            with a key, else the built-in scripted agent.

            Without --json the agent's work goes to standard output and everything about it to
            standard error. With --json the lines are: the answer to the command (`accepted`), the
            task's records (`kind`) as they come, and at the end the run (`status`).

            Ctrl-C asks whether to leave the task running, to cancel it or to go on; a second one
            cancels. Where nobody can be asked, the first one cancels. The exit code is 0 for a run
            that ended well or was left running, and 1 for any other.

            Usage: hostler run [OPTIONS] <MESSAGE>

            Arguments:
              <MESSAGE>
                      What the agent is to do; `-` reads it from standard input

            Options:
              -a, --agent <KEY>
                      The agent's key or id

              -s, --session <ID>
                      The conversation to go on with

                  --dir <DIR>
                      The folder to offer to the agent [default: the current one, on this machine's
                      server]

                  --no-dir
                      Offer no folder: the agent works in the workspace's own

                  --lane <LANE>
                      Counted apart from the agent's other tasks

                  --priority <PRIORITY>
                      [possible values: urgent, high, normal, low]

                  --timeout-ms <MS>
                      Working time of each attempt in milliseconds; 0: no limit

                  --policy-json <JSON>
                      The policy, such as '{"network_enabled": false}'

                  --label <LABEL>
                      For people

                  --idempotency-key <KEY>
                      The same key with the same command is carried out once

              -d, --detach
                      Do not follow: end when the task is accepted

              -h, --help
                      Print help (see a summary with '-h')

            Global options:
                  --json
                      Print JSON: one document, or one a line where more than one follows; errors
                      too

                  --url <URL>
                      The server; without it the one running on this data directory

                      [env: HOSTLER_URL=]

                  --token <TOKEN>
                      The token; better given by the environment, where no process list shows it

                      [env: HOSTLER_TOKEN]

                  --workspace <WORKSPACE>
                      The workspace

                      [env: HOSTLER_WORKSPACE=]
                      [default: default]

                  --data-dir <DIR>
                      Where data is kept; without it $XDG_DATA_HOME/hostler or
                      ~/.local/share/hostler

                      [env: HOSTLER_DATA_DIR=]

                  --log-format <LOG_FORMAT>
                      The form of the log on standard error; RUST_LOG says how much

                      [default: text]
                      [possible values: text, json]
        "#]],
    );
}

#[test]
fn dev() {
    check(
        &["dev", "-h"],
        expect![[r#"
            Server and worker in one process, for this machine

            Usage: hostler dev [OPTIONS]

            Options:
                  --listen <ADDRESS>        An address of this machine's loopback; port 0 takes a
                                            free one [env: HOSTLER_LISTEN=] [default:
                                            127.0.0.1:7700]
                  --slots <N>               How many agents run at a time [default: four a core]
                  --stream-records-max <N>  Records of one stream; 0 keeps all [default: 1000000]
                                            [env: HOSTLER_STREAM_RECORDS_MAX=]
                  --stream-days <N>         Days after which a task that has come to rest loses its
                                            stream; 0 keeps it [default: 30] [env:
                                            HOSTLER_STREAM_DAYS=]
              -h, --help                    Print help (see more with '--help')

            Global options:
                  --json                     Print JSON: one document, or one a line where more than
                                             one follows; errors too
                  --url <URL>                The server; without it the one running on this data
                                             directory [env: HOSTLER_URL=]
                  --token <TOKEN>            The token; better given by the environment, where no
                                             process list shows it [env: HOSTLER_TOKEN]
                  --workspace <WORKSPACE>    The workspace [env: HOSTLER_WORKSPACE=] [default:
                                             default]
                  --data-dir <DIR>           Where data is kept; without it $XDG_DATA_HOME/hostler
                                             or ~/.local/share/hostler [env: HOSTLER_DATA_DIR=]
                  --log-format <LOG_FORMAT>  The form of the log on standard error; RUST_LOG says
                                             how much [default: text] [possible values: text, json]
        "#]],
    );
}
