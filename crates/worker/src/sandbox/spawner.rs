//! # The spawning thread
//!
//! **What** The one thread that makes all children of the sandboxes.
//!
//! **Invariants** It never ends: the kernel's "kill me when my parent dies" means the thread
//! that forked, not the process, and a runtime's pool ends its threads as it likes.
//! A child inherits no descriptor but its standard streams and those named for it.
//!
//! **Failure** A step of a child's set-up that fails is the spawn's error.
//!
//! **Not here** What is executed (`bubblewrap`, `runc`, `guardian`).
#![expect(unsafe_code, reason = "between fork and exec only system calls are allowed")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::process::{check, user_id};

/// The worker answers these in an orderly way; what outlives it ends after it.
const ASK_TO_END: [libc::c_int; 5] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP];

/// What a child does between fork and exec.
#[derive(Debug, Default)]
pub(super) struct Setup {
    pub outlives_worker: bool,
    /// `cgroup.procs` files of the cgroups to join.
    pub doors: Vec<File>,
    /// Kept open under the number they have.
    pub inherited: Vec<OwnedFd>,
    /// For a child of root: files mounted read-only, in a mount namespace of the child's own.
    pub read_only: Vec<CString>,
    /// Descriptor 3 of the child.
    pub third: Option<OwnedFd>,
}

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

pub(super) fn spawn(mut command: Command, setup: Setup) -> io::Result<Child> {
    let worker = i32::try_from(std::process::id()).expect("a pid is an int");
    let is_root = user_id() == 0;
    let prepare = move || setup.prepare(worker, is_root);
    // SAFETY: `prepare` makes only async-signal-safe system calls and allocates nothing.
    unsafe { command.pre_exec(prepare) };
    let gone = || io::Error::other("the spawning thread is gone");
    let (reply, answer) = sync_channel(1);
    thread()?.send(Request { command, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn thread() -> io::Result<SyncSender<Request>> {
    // Some callers wait while one child is made; more than a few would only wait longer.
    const QUEUE: usize = 8;
    static THREAD: OnceLock<Option<SyncSender<Request>>> = OnceLock::new();
    let started = THREAD.get_or_init(|| {
        let (sender, requests) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("sandbox-spawner".to_owned());
        thread.spawn(move || serve(&requests)).ok().map(|_| sender)
    });
    started.clone().ok_or_else(|| io::Error::other("the spawning thread could not be started"))
}

fn serve(requests: &Receiver<Request>) {
    // The sender is in a static, so this ends with the process.
    while let Ok(Request { mut command, reply }) = requests.recv() {
        hold_three();
        let spawned = command.spawn();
        // Closes the parent's copies of the child's descriptors before anyone waits for their end.
        drop(command);
        let _ = reply.send(spawned);
    }
}

/// Keeps descriptor 3 taken in this process. The standard library reports a failed exec through
/// a pipe of its own; if that were number 3 in the child, [`Setup::third`] would overwrite it.
fn hold_three() {
    // SAFETY: plain system calls; a descriptor that turns out to be 3 is deliberately leaked.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if null < 0 || null == 3 {
            return;
        }
        let low = libc::fcntl(null, libc::F_DUPFD_CLOEXEC, 3);
        if low > 3 {
            libc::close(low);
        }
        libc::close(null);
    }
}

impl Setup {
    /// Runs in the child.
    fn prepare(&self, worker: libc::pid_t, is_root: bool) -> io::Result<()> {
        close_on_exec_from_three();
        // SAFETY: plain system calls on numbers and on static or live memory.
        unsafe {
            if !self.outlives_worker {
                check_int(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
                // The worker may have died before the kernel was asked.
                if libc::getppid() != worker {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
            }
            // The worker, or what started it, may ignore some: `nohup` does.
            for signal in 1..32 {
                // Fails for the two that cannot be ignored.
                libc::signal(signal, libc::SIG_DFL);
            }
            if self.outlives_worker {
                for signal in ASK_TO_END {
                    libc::signal(signal, libc::SIG_IGN);
                }
            }
            // Away from the terminal's signals, which the worker answers in an orderly way.
            check_int(libc::setsid())?;
            if !self.outlives_worker && is_root {
                check_int(libc::setgroups(0, std::ptr::null()))?;
            }
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            check_int(libc::setrlimit(libc::RLIMIT_CORE, &none))?;
        }
        if !self.outlives_worker {
            be_first_to_go_without_memory();
        }
        if is_root && !self.read_only.is_empty() {
            mount_read_only(&self.read_only)?;
        }
        for door in &self.doors {
            let own_pid = b"0";
            // SAFETY: the buffer is live and one byte long.
            let written = unsafe { libc::write(door.as_raw_fd(), own_pid.as_ptr().cast(), 1) };
            check(written as i64)?;
        }
        for fd in &self.inherited {
            // SAFETY: the descriptor is open; clearing its flags keeps it open across exec.
            check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) })?;
        }
        if let Some(third) = &self.third {
            // Not 3 already, see `above_low`: onto itself it would stay close-on-exec.
            // SAFETY: both are plain numbers, and 3 is `hold_three`'s.
            check_int(unsafe { libc::dup2(third.as_raw_fd(), 3) })?;
        }
        Ok(())
    }
}

fn check_int(result: libc::c_int) -> io::Result<()> {
    check(i64::from(result)).map(|_| ())
}

/// A user's sandbox cannot change the modes of root's devices, but root's own could.
fn mount_read_only(files: &[CString]) -> io::Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    let no_data = std::ptr::null::<libc::c_void>();
    // SAFETY: plain system calls on live C strings and null pointers where those are allowed.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            let error = io::Error::last_os_error();
            // Root in a container without this power; the devices are the container's own.
            return if error.raw_os_error() == Some(libc::EPERM) { Ok(()) } else { Err(error) };
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check_int(libc::mount(none, c"/".as_ptr(), none, private, no_data))?;
        for file in files {
            let file = file.as_ptr();
            let again = libc::MS_BIND | libc::MS_REMOUNT;
            let flags = again | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NOEXEC;
            check_int(libc::mount(file, file, none, libc::MS_BIND, no_data))?;
            check_int(libc::mount(none, file, none, flags, no_data))?;
        }
    }
    Ok(())
}

/// Descriptors that the worker itself inherited, without that flag, are nobody's business inside.
fn close_on_exec_from_three() {
    // SAFETY: plain system calls on numbers.
    unsafe {
        let flag = libc::CLOSE_RANGE_CLOEXEC;
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, flag) == 0 {
            return;
        }
        // Before Linux 5.11.
        for fd in 3..65536 {
            let flags = libc::fcntl(fd, libc::F_GETFD);
            if flags >= 0 {
                libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC);
            }
        }
    }
}

/// When the whole host is short of memory, a sandbox goes before the worker. Not worth failing
/// for: a process may already be further down than it may come back from.
fn be_first_to_go_without_memory() {
    // SAFETY: plain system calls on static memory.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY);
        if file >= 0 {
            libc::write(file, c"500".as_ptr().cast(), 3);
            libc::close(file);
        }
    }
}
