//! # System calls refused inside
//!
//! **What** One list, rendered as BPF programs for bubblewrap and as JSON for runc. Everything
//! not on it is allowed: the namespaces and the missing capabilities are the boundary, and the
//! list takes away the kernel's lesser-used doors behind it.
//!
//! **Invariants** No new namespace, no mount, no kernel keyring, no io_uring, no BPF, and no
//! socket family but unix, inet, inet6 and netlink: a network namespace does not hide AF_VSOCK.
//! On x86_64 the x32 and 32-bit entrances to the same calls are shut.
//!
//! ptrace is allowed: debuggers and leak sanitizers need it, and the processes it reaches are
//! the sandbox's own.
//!
//! **Failure** An architecture without a table has no filter, and says so.
//!
//! **Not here** Who loads the programs (`bubblewrap`, `runc`).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde_json::{Value, json};

/// One refused call: always, or when one argument is so.
struct Refused {
    name: &'static str,
    number: i64,
    when: Option<(u8, Test)>,
    error: u32,
}

#[derive(Clone, Copy)]
enum Test {
    /// All bits of the mask are set.
    Has(u64),
    Equals(u64),
    Above(u64),
}

/// The calls' names and numbers.
macro_rules! calls {
    ($($constant:ident)*) => {
        [$((&stringify!($constant)["SYS_".len()..], libc::$constant)),*]
    };
}

const NEW_NAMESPACE: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Pushing characters into a terminal that an outer shell reads.
const TERMINAL_INPUT: [u64; 2] = [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */];

/// Families up to netlink (16) that are neither unix, inet, inet6 nor netlink.
const OLD_FAMILIES: [u64; 12] = [3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];

fn refused() -> Vec<Refused> {
    let always = calls![
        SYS_acct SYS_add_key SYS_bpf SYS_chroot SYS_clock_adjtime SYS_clock_settime
        SYS_delete_module SYS_fanotify_init SYS_fanotify_mark SYS_finit_module SYS_fsconfig
        SYS_fsmount SYS_fsopen SYS_fspick SYS_init_module SYS_io_uring_enter
        SYS_io_uring_register SYS_io_uring_setup SYS_kcmp SYS_kexec_file_load SYS_kexec_load
        SYS_keyctl SYS_lookup_dcookie SYS_migrate_pages SYS_mount SYS_mount_setattr
        SYS_move_mount SYS_move_pages SYS_name_to_handle_at SYS_nfsservctl
        SYS_open_by_handle_at SYS_open_tree SYS_perf_event_open SYS_pidfd_getfd
        SYS_pivot_root SYS_process_madvise SYS_process_vm_readv SYS_process_vm_writev
        SYS_quotactl SYS_quotactl_fd SYS_reboot SYS_request_key SYS_sethostname
        SYS_setdomainname SYS_setns SYS_settimeofday SYS_swapoff SYS_swapon SYS_syslog
        SYS_umount2 SYS_unshare SYS_userfaultfd SYS_vhangup SYS_vmsplice
    ];
    #[cfg(target_arch = "x86_64")]
    let of_machine = calls![SYS_ioperm SYS_iopl SYS_modify_ldt SYS_sysfs SYS_uselib SYS_ustat];
    #[cfg(not(target_arch = "x86_64"))]
    let of_machine: [(&'static str, i64); 0] = [];

    let permission = libc::EPERM.unsigned_abs();
    let mut refused: Vec<Refused> = Vec::new();
    for (name, number) in always.into_iter().chain(of_machine) {
        refused.push(Refused { name, number, when: None, error: permission });
    }
    let mut when = |name, number, index, test| {
        refused.push(Refused { name, number, when: Some((index, test)), error: permission });
    };
    for flag in NEW_NAMESPACE {
        let flag = u64::from(flag.unsigned_abs());
        when("clone", libc::SYS_clone, 0, Test::Has(flag));
    }
    for request in TERMINAL_INPUT {
        when("ioctl", libc::SYS_ioctl, 1, Test::Equals(request));
    }
    for (name, number) in [("socket", libc::SYS_socket), ("socketpair", libc::SYS_socketpair)] {
        for family in OLD_FAMILIES {
            when(name, number, 0, Test::Equals(family));
        }
        when(name, number, 0, Test::Above(16));
    }
    // Its flags are behind a pointer, out of a filter's sight; told that the call does not
    // exist, C libraries fall back to `clone`.
    refused.push(Refused {
        name: "clone3",
        number: libc::SYS_clone3,
        when: None,
        error: libc::ENOSYS.unsigned_abs(),
    });
    refused
}

fn arch() -> Option<TargetArch> {
    match std::env::consts::ARCH {
        "x86_64" => Some(TargetArch::x86_64),
        "aarch64" => Some(TargetArch::aarch64),
        _ => None,
    }
}

/// Programs as the kernel takes them, one for each error that a call is refused with, all of
/// them to be loaded.
pub(super) fn programs() -> Result<Vec<Vec<u8>>, String> {
    let machine = std::env::consts::ARCH;
    let arch = arch().ok_or_else(|| format!("no seccomp table for {machine}"))?;
    let mut by_error: BTreeMap<u32, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
    for one in refused() {
        let rules = by_error.entry(one.error).or_default().entry(one.number).or_default();
        if let Some((index, test)) = one.when {
            rules.push(rule(index, test).map_err(|error| error.to_string())?);
        }
    }
    let mut programs = Vec::new();
    for (error, rules) in by_error {
        let allow = SeccompAction::Allow;
        let filter = SeccompFilter::new(rules, allow, SeccompAction::Errno(error), arch);
        let program = filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())?;
        let mut bytes = Vec::with_capacity(program.len() * 8);
        for step in program {
            push(&mut bytes, step.code, step.jt, step.jf, step.k);
        }
        programs.push(bytes);
    }
    if machine == "x86_64" {
        programs.push(without_x32());
    }
    Ok(programs)
}

fn rule(index: u8, test: Test) -> Result<SeccompRule, seccompiler::BackendError> {
    let (operator, value) = match test {
        Test::Has(mask) => (SeccompCmpOp::MaskedEq(mask), mask),
        Test::Equals(value) => (SeccompCmpOp::Eq, value),
        Test::Above(value) => (SeccompCmpOp::Gt, value),
    };
    // The kernel takes the low half of each of these arguments.
    let length = SeccompCmpArgLen::Dword;
    SeccompRule::new(vec![SeccompCondition::new(index, length, operator, value)?])
}

/// x32 calls have bit 30 set and are numbers of no table; the kernel would take them for the
/// same calls.
fn without_x32() -> Vec<u8> {
    let mut bytes = Vec::new();
    let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    push(&mut bytes, 0x20 /* load word */, 0, 0, 0 /* the call's number */);
    push(&mut bytes, 0x35 /* jump if at least */, 0, 1, 0x4000_0000);
    push(&mut bytes, 0x06 /* return */, 0, 0, missing);
    push(&mut bytes, 0x06 /* return */, 0, 0, libc::SECCOMP_RET_ALLOW);
    bytes
}

/// Appends one `struct sock_filter`.
fn push(bytes: &mut Vec<u8>, code: u16, jump_true: u8, jump_false: u8, constant: u32) {
    bytes.extend(code.to_ne_bytes());
    bytes.extend([jump_true, jump_false]);
    bytes.extend(constant.to_ne_bytes());
}

/// The `linux.seccomp` object of an OCI config.
pub(super) fn oci() -> Result<Value, String> {
    let machine = match arch() {
        Some(TargetArch::x86_64) => "SCMP_ARCH_X86_64",
        Some(TargetArch::aarch64) => "SCMP_ARCH_AARCH64",
        _ => return Err(format!("no seccomp table for {}", std::env::consts::ARCH)),
    };
    let calls: Vec<Value> = refused().iter().map(oci_call).collect();
    Ok(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [machine],
        "syscalls": calls,
    }))
}

fn oci_call(one: &Refused) -> Value {
    let arguments: Vec<Value> = one
        .when
        .iter()
        .map(|(index, test)| {
            let (operator, value, value_two) = match *test {
                Test::Has(mask) => ("SCMP_CMP_MASKED_EQ", mask, mask),
                Test::Equals(value) => ("SCMP_CMP_EQ", value, 0),
                Test::Above(value) => ("SCMP_CMP_GT", value, 0),
            };
            json!({ "index": index, "value": value, "valueTwo": value_two, "op": operator })
        })
        .collect();
    json!({
        "names": [one.name],
        "action": "SCMP_ACT_ERRNO",
        "errnoRet": one.error,
        "args": arguments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_refused_in_both_renderings() {
        let calls = oci().expect("this architecture has a table");
        let calls = calls["syscalls"].as_array().expect("a list").len();
        assert_eq!(calls, refused().len());
        let programs = programs().expect("this architecture has a table");
        assert!(programs.iter().all(|program| program.len() % 8 == 0 && !program.is_empty()));
    }
}
