//! The release build, and that its server answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{self, Running, cargo, free_address, say, wait_for};
use crate::target;

const PATIENCE: Duration = Duration::from_secs(20);

pub fn run() -> Result<(), String> {
    command::run(cargo(&["build", "--locked", "--release", "--package", "hostler-cli"]))?;
    let folder = target().join("smoke");
    let _ = std::fs::remove_dir_all(&folder);
    let address = free_address()?;
    let child = Command::new(target().join("release/hostler"))
        .args(["dev", "--listen", &address.to_string(), "--data-dir"])
        .arg(&folder)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| format!("target/release/hostler: {e}"))?;
    let mut server = Running(child);
    let answered = wait_for(&mut server, address, PATIENCE).and_then(|()| ask(address));
    drop(server);
    let _ = std::fs::remove_dir_all(&folder);
    answered.map_err(|why| format!("the release build: {why}"))?;
    say("the release build answers /healthz");
    Ok(())
}

fn ask(address: SocketAddr) -> Result<(), String> {
    let talk = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = talk().map_err(|e: std::io::Error| format!("/healthz: {e}"))?;
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(()),
        false => Err(format!("/healthz answers {:?}", answer.lines().next().unwrap_or_default())),
    }
}
