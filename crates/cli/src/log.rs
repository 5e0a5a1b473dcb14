//! The log: to standard error, so that standard output stays a command's own.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// `RUST_LOG` decides; without it a service tells what it does, and a command only what is wrong.
pub fn start(is_service: bool, format: LogFormat) -> anyhow::Result<()> {
    let given = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = match (given.trim(), is_service) {
        ("", true) => "info",
        ("", false) => "error",
        (given, _) => given,
    };
    let filter = EnvFilter::try_new(filter).context("RUST_LOG cannot be read")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => {
            let colours = anstream::AutoStream::choice(&std::io::stderr());
            builder.with_ansi(colours != anstream::ColorChoice::Never).init();
        }
    }
    Ok(())
}
