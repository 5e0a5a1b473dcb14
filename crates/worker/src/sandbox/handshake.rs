//! # The handshake
//!
//! **What** A few lines of shell run inside as the agent-to-be: they look the program up, say so
//! on descriptor 3, wait for the worker's word, and become the program. The kernel tells the
//! worker the sender's host pid with the message, and while it waits it cannot be gone, so the
//! worker takes hold of it and of the namespace's first process without a race.
//!
//! **Invariants** The program is not executed before the worker holds both; a worker that dies
//! first closes the descriptor, and the shell ends.
//!
//! **Failure** A program that is not there, or silence, fails the start.
//!
//! **Not here** Watching the program run (`supervision`).
#![expect(unsafe_code, reason = "the standard library does not receive a sender's pid")]

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::process::{Pidfd, above_low, check, parent_and_inner_pid, poll};
use super::{Limits, StartError};

/// Set-up takes tens of milliseconds, on a very busy host seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// `$@` is the program with its arguments.
const AGENT: &str = r#"case $1 in
    */*) [ -f "$1" ] && [ -x "$1" ] ;;
    *) command -v "$1" > /dev/null 2>&1 ;;
esac || { printf - >&3; exit 127; }
printf + >&3
read -r go <&3 || exit 125
LIMITS
exec 3>&- "$@""#;

/// The first process of a pid namespace, for a runtime that has none of its own: it reaps
/// orphans while it waits for the agent. SIGTERM would not reach an agent that is first itself.
/// The end is acknowledged, so that the worker can read the cgroup before the runtime removes it.
/// The shell's own remarks about signals are not the agent's output.
const FIRST: &str = r#"exec 4>&2 2>/dev/null
(
exec 2>&4 4>&-
AGENT
)
code=$?
read -r end <&3
exit "$code""#;

/// What runs in the sandbox before the program and, for `with_first`, around it.
pub(super) fn script(own_limits: Option<Limits>, with_first: bool) -> String {
    let limits = match own_limits {
        // dash and bash name the number of processes differently.
        Some(limits) => format!(
            "ulimit -d {}; ulimit -p {pids} 2>/dev/null || ulimit -u {pids} 2>/dev/null",
            limits.memory_bytes / 1024,
            pids = limits.pids,
        ),
        None => String::new(),
    };
    let agent = AGENT.replace("LIMITS", &limits);
    if with_first { FIRST.replace("AGENT", &agent) } else { agent }
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct Handshake {
    stream: UnixStream,
}

/// The agent-to-be and the first process of its pid namespace, both waiting.
#[derive(Debug)]
pub(super) struct Ready {
    pub agent: Pidfd,
    pub first: Pidfd,
}

impl Handshake {
    /// The worker's end and the child's.
    pub(super) fn new() -> io::Result<(Handshake, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let on: libc::c_int = 1;
        // SAFETY: the option's value is a live int, with its size.
        let set = unsafe {
            libc::setsockopt(
                ours.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PASSCRED,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        check(i64::from(set))?;
        Ok((Handshake { stream: ours }, above_low(theirs.into())?))
    }

    /// `Ok(None)`: the sandbox ended before it came to the program; its standard error says why.
    pub(super) fn receive(&self, program: &str) -> Result<Option<Ready>, StartError> {
        let failed = |error: io::Error| StartError::Failed(format!("handshake: {error}"));
        let ready = poll(&[self.stream.as_fd()], Some(PATIENCE)).map_err(failed)?;
        if !ready[0] {
            let seconds = PATIENCE.as_secs();
            return Err(StartError::Failed(format!("no program after {seconds} seconds")));
        }
        match self.receive_byte().map_err(failed)? {
            None => Ok(None),
            Some((b'+', pid)) => hold(pid).map(Some).map_err(failed),
            Some((b'-', _)) => Err(StartError::NoProgram(program.to_owned())),
            Some((byte, _)) => {
                Err(StartError::Failed(format!("handshake: unexpected byte {byte:#x}")))
            }
        }
    }

    /// Lets the program run.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.stream.write_all(b"go\n")
    }

    /// One byte and its sender's pid; none when the other end was closed.
    fn receive_byte(&self) -> io::Result<Option<(u8, i32)>> {
        let mut byte = 0_u8;
        let mut control = [0_u64; 8];
        let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: a message header of zeros is valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the header points to live memory of the sizes it says.
        let n_read = unsafe { libc::recvmsg(self.stream.as_raw_fd(), &raw mut message, flags) };
        if check(n_read as i64)? == 0 {
            return Ok(None);
        }
        // SAFETY: the kernel filled the control area, which is aligned and live; a credentials
        // message is as long as its type says.
        let credentials = unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            if header.is_null() || (*header).cmsg_type != libc::SCM_CREDENTIALS {
                return Err(io::Error::other("no credentials came with the message"));
            }
            libc::CMSG_DATA(header).cast::<libc::ucred>().read_unaligned()
        };
        if credentials.pid <= 1 {
            return Err(io::Error::other("the sender has no pid here"));
        }
        Ok(Some((byte, credentials.pid)))
    }
}

/// The sender waits for the worker, so neither it nor its parent can be gone or replaced.
fn hold(agent: i32) -> io::Result<Ready> {
    let (first, _) = parent_and_inner_pid(agent)?;
    let (_, inner) = parent_and_inner_pid(first)?;
    if inner != 1 {
        return Err(io::Error::other(format!(
            "the program's parent {first} is number {inner} of its pid namespace, not the first"
        )));
    }
    Ok(Ready { agent: Pidfd::open(agent)?, first: Pidfd::open(first)? })
}
