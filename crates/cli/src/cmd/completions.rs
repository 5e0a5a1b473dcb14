//! `hostler completions`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use hostler_wire::status::Exit;

use crate::args::Cli;
use crate::print;

pub fn completions(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "hostler", &mut script);
    print::out_raw(&script);
    Ok(Exit::Ok)
}
