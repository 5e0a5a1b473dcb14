//! # What a sandbox sees
//!
//! **What** The parts of the file system and of the environment that both runtimes show: which
//! host folders, which files written for it, what of `/proc` is covered.
//!
//! **Invariants** Of the host nothing is shown but programs, libraries and their public data,
//! read-only, and what the spec names. `/etc` is written afresh; from the host's come only
//! certificates, the linker's cache and the like, never `/etc/gitconfig` (it may hold tokens).
//!
//! **Failure** Host files that are absent are left out.
//!
//! **Not here** How it is mounted (`bubblewrap`, `runc`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Spec;

pub(super) const USER_ID: u32 = 1000;
pub(super) const HOME: &str = "/home/agent";
pub(super) const HOST_NAME: &str = "sandbox";
pub(super) const MODEL_FOLDER: &str = "/run/hostler";
pub(super) const RUN_BYTES: u64 = 16 << 20;
/// Of `/dev/shm`.
pub(super) const SHARED_MEMORY_BYTES: u64 = 64 << 20;

/// Something of the host at the same place inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Bind(String),
    Link { at: String, target: String },
}

/// `/usr`, with `/bin` and the like as they are on the host: links into it, or folders.
pub(super) fn system() -> Vec<Shown> {
    let mut shown = vec![Shown::Bind("/usr".to_owned())];
    let folders = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
    shown.extend(folders.iter().filter_map(|path| show(path)));
    shown
}

/// What programs need from the host's `/etc`.
pub(super) fn settings() -> Vec<Shown> {
    const NAMES: [&str; 19] = [
        "alternatives",
        "ca-certificates.conf",
        "ca-certificates",
        "crypto-policies",
        "fonts",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "localtime",
        "mime.types",
        "pki/ca-trust",
        "pki/tls/certs",
        "pki/tls/openssl.cnf",
        "protocols",
        "services",
        "ssl/certs",
        "ssl/openssl.cnf",
        "terminfo",
        "timezone",
    ];
    let mut names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    // Debian keeps parts of the language runtimes here, by version.
    for entry in fs::read_dir("/etc").into_iter().flatten().flatten() {
        if let Ok(name) = entry.file_name().into_string()
            && (name.starts_with("python3") || name.starts_with("java-"))
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.iter().filter_map(|name| show(&format!("/etc/{name}"))).collect()
}

fn show(path: &str) -> Option<Shown> {
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path).ok()?.to_str()?.to_owned();
        Some(Shown::Link { at: path.to_owned(), target })
    } else {
        Some(Shown::Bind(path.to_owned()))
    }
}

/// Host devices shown in `/dev`, each mounted read-only: that still lets their content be written,
/// but not their mode changed, which would be the host's own.
pub(super) const DEVICES: [&str; 6] =
    ["/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"];

/// Parts of `/proc` that tell of the host, which a sandbox of a worker run as root could read:
/// it is uid 0 to them. All of `/proc` is mounted read-only, since to that uid the host's settings
/// (`/proc/sys`) would be writable, capabilities or not.
pub(super) fn masked() -> Vec<&'static str> {
    const MASKED: [&str; 16] = [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/kpagecgroup",
        "/proc/kpagecount",
        "/proc/kpageflags",
        "/proc/latency_stats",
        "/proc/mtrr",
        "/proc/pagetypeinfo",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/slabinfo",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/vmallocinfo",
    ];
    MASKED.into_iter().filter(|path| Path::new(path).exists()).collect()
}

/// Writes the files of `/etc` into `folder`; each with its path inside. The scope's name in the
/// files' names marks the sandbox's mounts, by which `sweep` knows its processes.
pub(super) fn write_etc(folder: &Path, scope: &str) -> io::Result<Vec<(PathBuf, String)>> {
    let id = USER_ID;
    let files = [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/usr/sbin/nologin\n\
                 agent:x:{id}:{id}:agent:{HOME}:/bin/sh\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\ntty:x:5:\nagent:x:{id}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n")),
        ("hostname", format!("{HOST_NAME}\n")),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
        ("resolv.conf", String::new()),
    ];
    fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    for (name, content) in files {
        let path = folder.join(format!("{scope}.{name}"));
        fs::write(&path, content)?;
        // Readable whatever the worker's umask is.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&path, open)?;
        written.push((path, format!("/etc/{name}")));
    }
    Ok(written)
}

/// The variables of the process inside; the spec's come after ours.
pub(super) fn environment(spec: &Spec) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        ("HOME", HOME),
        ("USER", "agent"),
        ("LOGNAME", "agent"),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.retain(|(name, _)| !spec.env.iter().any(|(other, _)| other == name));
    variables.extend(spec.env.iter().cloned());
    variables
}

/// The host path and the path inside of everything the spec mounts, the workspace left out.
pub(super) fn binds(spec: &Spec) -> Vec<super::Bind> {
    let mut binds = Vec::new();
    if let Some(folder) = spec.model_socket.as_deref().and_then(Path::parent) {
        binds.push(super::Bind {
            host: folder.to_owned(),
            inside: MODEL_FOLDER.to_owned(),
            writable: false,
        });
    }
    binds.extend(spec.binds.iter().cloned());
    binds
}
