//! # The host's cgroups
//!
//! **What** Where this process is in each cgroup hierarchy, and where below that its sandboxes
//! may have theirs.
//!
//! Sandboxes are put below the worker's own cgroup, so that limits set on the worker hold for
//! them too. cgroup v2 does not let a cgroup with controllers hold processes beside children;
//! so there the worker moves into a leaf of its own cgroup when it is alone in it, and else uses
//! the parent, where that is writable and hands its controllers down.
//!
//! **Failure** A hierarchy that cannot be written is left out, with the reason.
//!
//! **Not here** Making cgroups and setting limits (`cgroup`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// The worker's own leaf in cgroup v2.
const LEAF: &str = "hostler-worker";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A place in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    /// Where the hierarchy is mounted.
    pub mount: PathBuf,
    pub folder: PathBuf,
    pub version: Version,
    /// Which of [`CONTROLLERS`] can be set here.
    pub controllers: Vec<&'static str>,
}

impl Branch {
    pub(super) fn join(&self, name: &str) -> Branch {
        Branch { folder: self.folder.join(name), ..self.clone() }
    }
}

/// What [`discover`] found.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Writable places under which this process may make cgroups.
    pub usable: Vec<Branch>,
    /// Places in v1 hierarchies without a controller of use; runc makes cgroups there too.
    pub others: Vec<Branch>,
    /// Why places are not usable.
    pub problems: Vec<String>,
}

pub(super) fn discover() -> Host {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let own = own_branches(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let mut host = Host::default();
    if own.is_empty() {
        host.problems.push("no cgroup file system is mounted".to_owned());
    }
    for branch in own {
        let folder = branch.folder.display().to_string();
        let prepared = match branch.version {
            Version::V1 if branch.controllers.is_empty() => {
                host.others.push(branch);
                continue;
            }
            Version::V1 => Ok(branch),
            Version::V2 => prepare_v2(branch),
        };
        match prepared.and_then(|branch| probe_writable(&branch).map(|()| branch)) {
            Ok(branch) => host.usable.push(branch),
            Err(error) => host.problems.push(format!("{folder}: {error}")),
        }
    }
    host
}

fn probe_writable(branch: &Branch) -> io::Result<()> {
    let folder = branch.folder.join(format!("hostler-probe-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let writable = fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
    fs::remove_dir(&folder)?;
    writable.map(|_| ())
}

/// This process's place in each hierarchy, from `/proc/self/mountinfo` and
/// `/proc/self/cgroup`.
fn own_branches(mountinfo: &str, cgroups: &str) -> Vec<Branch> {
    let mut branches: Vec<Branch> = Vec::new();
    for line in mountinfo.lines() {
        // "36 35 0:31 ROOT MOUNT OPTIONS ... - TYPE SOURCE SUPER-OPTIONS"
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (Some(root), Some(mount)) = (left.get(3), left.get(4)) else { continue };
        let options: Vec<&str> = right.get(2).copied().unwrap_or_default().split(',').collect();
        let (version, controllers) = match right.first().copied() {
            Some("cgroup") => (Version::V1, known(options.iter().copied())),
            Some("cgroup2") => (Version::V2, Vec::new()),
            _ => continue,
        };
        let Some(path) = own_path(cgroups, version, &options) else { continue };
        // A mount may show only a part of the hierarchy, as in containers.
        let path = Path::new(path);
        let relative = path.strip_prefix(root).or(path.strip_prefix("/")).unwrap_or(path);
        let mount = PathBuf::from(mount);
        let folder = mount.join(relative);
        if branches.iter().any(|branch| branch.folder == folder) {
            continue;
        }
        // A path outside of this process's cgroup namespace begins with "/.."; the mount's own
        // root is then the place this process may use.
        let visible = !relative.starts_with("..") && folder.is_dir();
        let folder = if visible { folder } else { mount.clone() };
        branches.push(Branch { mount, folder, version, controllers });
    }
    branches
}

/// `names` are a v1 mount's options, its controllers or its own name among them.
fn own_path<'a>(cgroups: &'a str, version: Version, names: &[&str]) -> Option<&'a str> {
    cgroups.lines().find_map(|line| {
        // "4:memory:/path", and "0::/path" for v2.
        let mut parts = line.splitn(3, ':').skip(1);
        let (listed, path) = (parts.next()?, parts.next()?);
        let found = match version {
            Version::V2 => listed.is_empty(),
            Version::V1 => listed.split(',').any(|name| names.contains(&name)),
        };
        found.then_some(path)
    })
}

fn known<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let names: Vec<&str> = names.collect();
    CONTROLLERS.into_iter().filter(|controller| names.contains(controller)).collect()
}

fn listed(file: &Path) -> Vec<&'static str> {
    known(fs::read_to_string(file).unwrap_or_default().split_whitespace())
}

/// Makes children of the returned place able to have the controllers there are.
fn prepare_v2(mut own: Branch) -> io::Result<Branch> {
    if own.folder.ends_with(LEAF) {
        own.folder.pop();
    }
    let wanted = listed(&own.folder.join("cgroup.controllers"));
    if wanted.is_empty() {
        // A hybrid host has its controllers in v1; v2 still kills a cgroup in one step.
        return Ok(own);
    }
    // Only the real root has no type, and only it may hold processes beside children.
    if own.folder.join("cgroup.type").exists() {
        let pid = std::process::id().to_string();
        let members = fs::read_to_string(own.folder.join("cgroup.procs"))?;
        if members.lines().all(|member| member == pid) {
            let leaf = own.folder.join(LEAF);
            if !leaf.is_dir() {
                fs::create_dir(&leaf)?;
            }
            fs::write(leaf.join("cgroup.procs"), &pid)?;
        } else {
            let parent = own.folder.parent().filter(|parent| parent.starts_with(&own.mount));
            let parent = parent.map(Path::to_owned).ok_or_else(|| {
                io::Error::other("other processes are in the worker's cgroup, the topmost here")
            })?;
            own.folder = parent;
            own.controllers = listed(&own.folder.join("cgroup.subtree_control"));
            return match own.controllers.is_empty() {
                false => Ok(own),
                true => Err(io::Error::other(
                    "other processes are in the worker's cgroup, and its parent hands no \
                     controllers down; start the worker in a cgroup of its own, as \
                     `systemd-run --user --scope -p Delegate=yes` does",
                )),
            };
        }
    }
    own.controllers = hand_down(&own.folder, &wanted)?;
    Ok(own)
}

/// Enables controllers for the children of `folder`, one by one since one that is refused would
/// take the others with it.
pub(super) fn hand_down(folder: &Path, wanted: &[&str]) -> io::Result<Vec<&'static str>> {
    let control = folder.join("cgroup.subtree_control");
    let mut refused = None;
    for controller in wanted {
        if let Err(error) = fs::write(&control, format!("+{controller}")) {
            refused = Some(error);
        }
    }
    let enabled = listed(&control);
    match refused {
        Some(error) if enabled.is_empty() => Err(error),
        _ => Ok(enabled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host_has_v1_controllers_and_a_v2_place_to_kill() {
        let mountinfo = "\
30 24 0:26 / /none/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /none/memory rw shared:9 - cgroup cgroup rw,memory
32 24 0:28 / /none/freezer rw - cgroup cgroup rw,freezer
33 24 0:29 / /none/unified rw - cgroup2 cgroup2 rw
34 24 0:30 / /tmp rw - tmpfs tmpfs rw";
        let cgroups = "5:memory:/a/b\n3:cpu,cpuacct:/\n2:freezer:/\n0::/\n";
        let found = own_branches(mountinfo, cgroups);
        let named: Vec<_> =
            found.iter().map(|b| (b.mount.to_str(), b.version, b.controllers.clone())).collect();
        assert_eq!(
            named,
            [
                (Some("/none/cpu"), Version::V1, vec!["cpu"]),
                (Some("/none/memory"), Version::V1, vec!["memory"]),
                (Some("/none/freezer"), Version::V1, vec![]),
                (Some("/none/unified"), Version::V2, vec![]),
            ]
        );
    }

    #[test]
    fn a_mount_of_a_part_is_entered_by_the_rest_of_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = folder.path().join("cgroup");
        fs::create_dir_all(mount.join("inner")).expect("folders");
        let line = format!("33 24 0:29 /outer {} rw - cgroup2 cgroup2 rw", mount.display());
        let found = own_branches(&line, "0::/outer/inner\n");
        assert_eq!(found[0].folder, mount.join("inner"));
        let found = own_branches(&line, "0::/../elsewhere\n");
        assert_eq!(found[0].folder, mount);
    }

    #[test]
    fn controllers_are_handed_down_as_far_as_the_kernel_lets() {
        let folder = tempfile::tempdir().expect("a folder");
        let control = folder.path().join("cgroup.subtree_control");
        fs::write(&control, "").expect("written");
        // A plain file keeps only the last line written, with its sign.
        assert_eq!(hand_down(folder.path(), &["memory"]).expect("written"), [] as [&str; 0]);
        assert_eq!(fs::read_to_string(&control).expect("read"), "+memory");
    }
}
