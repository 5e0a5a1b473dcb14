//! The real binary, as a person or a script uses it.
#![forbid(unsafe_code)]

mod it {
    mod agents;
    mod claude;
    mod claude_inputs;
    mod commands;
    mod crash;
    mod help;
    mod host;
    mod model;
    mod run;
    mod stop;
}
