//! The real binary, as a person or a script uses it.
#![forbid(unsafe_code)]

mod it {
    mod agents;
    mod claude;
    mod claude_inputs;
    mod cluster;
    mod commands;
    mod crash;
    mod frozen;
    mod help;
    mod host;
    mod model;
    mod run;
    mod stop;
}
