//! # Processes
//!
//! **What** A process held by its pidfd, waiting on descriptors, and what `/proc` says.
//!
//! **Invariants** A [`Pidfd`] means one process for ever; its pid may be used again by another.
//!
//! **Failure** System errors as they are.
//!
//! **Not here** Starting processes (`spawner`).
#![expect(unsafe_code, reason = "the standard library has neither pidfds nor poll")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use crate::agent::Exit;

#[derive(Debug)]
pub(super) struct Pidfd {
    fd: OwnedFd,
    pid: i32,
}

impl Pidfd {
    /// The caller knows that `pid` is still the process it means.
    pub(super) fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: a system call on plain numbers.
        let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let raw = i32::try_from(check(raw)?).expect("a descriptor is an int");
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Pidfd { fd, pid })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Nothing happens when the process has ended.
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        self::signal(self.fd.as_fd(), signal)
    }

    /// For the first process of a pid namespace this means that all the others have ended too:
    /// the kernel reaps them before it lets the first one die.
    pub(super) fn has_ended(&self) -> bool {
        matches!(poll(&[self.fd.as_fd()], Some(Duration::ZERO)), Ok(ready) if ready[0])
    }

    /// The exit the kernel kept for a process that was waited for by its parent. Kernels before
    /// 6.15 cannot tell.
    pub(super) fn exit(&self) -> Option<Exit> {
        const PIDFD_INFO_EXIT: u64 = 1 << 3;
        // _IOWR(0xFF, 11, struct pidfd_info), in the size of its first version.
        const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
        #[repr(C)]
        struct Info {
            mask: u64,
            cgroup_id: u64,
            ids: [u32; 11],
            exit_code: i32,
        }
        const _: () = assert!(size_of::<Info>() == 64);
        let mut info = Info { mask: PIDFD_INFO_EXIT, cgroup_id: 0, ids: [0; 11], exit_code: 0 };
        // SAFETY: the kernel writes at most the 64 bytes that the request's number says.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), PIDFD_GET_INFO as _, &mut info) };
        if done != 0 || info.mask & PIDFD_INFO_EXIT == 0 {
            return None;
        }
        let status = info.exit_code;
        Some(if libc::WIFSIGNALED(status) {
            Exit::Signal(libc::WTERMSIG(status))
        } else {
            Exit::Code(libc::WEXITSTATUS(status))
        })
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sends a signal by a pidfd; nothing happens when the process has ended.
pub(super) fn signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    let raw = process.as_raw_fd();
    // SAFETY: the descriptor is open, and a null siginfo is allowed.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, raw, signal, no_info, 0) };
    match check(sent) {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until one of `fds` can be read, was closed by its peer, or is the pidfd of a process
/// that ended; all false when the time is over.
pub(super) fn poll(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let timeout_ms = match timeout {
        // Rounded up, so that a caller's deadline has passed when this returns.
        Some(time) => i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX),
        None => -1,
    };
    loop {
        // SAFETY: the pointer and the length are those of a live vector.
        let n_ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as _, timeout_ms) };
        match check(i64::from(n_ready)) {
            Ok(_) => return Ok(polled.iter().map(|one| one.revents != 0).collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// SIGKILL by number, for processes found in a cgroup a moment ago.
pub(super) fn kill_pid(pid: i32) {
    assert!(pid > 1, "0, 1 and negative numbers mean groups of processes or the system");
    // SAFETY: a system call on plain numbers. It fails only when the process is gone already.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// A file in memory to be inherited by a child, read from its start.
pub(super) fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek, Write};
    // SAFETY: the name is a C string.
    let raw = unsafe { libc::memfd_create(c"hostler".as_ptr(), libc::MFD_CLOEXEC) };
    check(i64::from(raw))?;
    // SAFETY: the descriptor is new and nobody else's.
    let mut file = unsafe { fs::File::from_raw_fd(raw) };
    file.write_all(content)?;
    file.rewind()?;
    above_low(file.into())
}

/// Moves a descriptor away from the low numbers, of which 3 has a meaning in a sandbox.
pub(super) fn above_low(fd: OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open.
    let raw = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 10) };
    check(i64::from(raw))?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

pub(super) fn user_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

pub(super) fn group_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getegid() }
}

pub(super) fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The pid of the parent, and the pid in the process's own namespace.
pub(super) fn parent_and_inner_pid(pid: i32) -> io::Result<(i32, i32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().last()).and_then(|text| text.parse().ok())
    };
    match (field("PPid:"), field("NSpid:")) {
        (Some(parent), Some(inner)) => Ok((parent, inner)),
        _ => Err(io::Error::other(format!("/proc/{pid}/status has no PPid or NSpid"))),
    }
}

/// Looks a program up as a shell would, and also where only root's shells look.
pub(super) fn find_program(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .chain(usual.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "not found in PATH"))
}
