//! The node's own tree of control groups in every hierarchy of the machine: nothing that kubelet or runc make lies outside of it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{Error, Result};

const EMPTIES: Duration = Duration::from_secs(60);

/// Where the machine's hierarchies are mounted.
///
/// # Errors
/// [`Error::Node`] when there is none.
pub fn hierarchies() -> Result<BTreeSet<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(Error::machine("read /proc/self/mountinfo"))?;
    let found: BTreeSet<_> = mounts.lines().filter_map(hierarchy).collect();
    if found.is_empty() {
        return Err(Error::Node {
            what: "control groups mounted below /sys/fs/cgroup".into(),
            saw: "no mount of type cgroup or cgroup2".into(),
        });
    }
    Ok(found)
}

/// The mount point of a line of mountinfo that is a whole hierarchy.
fn hierarchy(line: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let fields: Vec<_> = before.split(' ').collect();
    let of_groups = matches!(after.split(' ').next(), Some("cgroup" | "cgroup2"));
    (of_groups && fields.get(3) == Some(&"/")).then(|| fields.get(4).map(PathBuf::from))?
}

/// Makes the tree.
///
/// # Errors
/// [`Error::Machine`] when a hierarchy does not take a folder.
pub fn make(name: &str) -> Result<()> {
    for hierarchy in hierarchies()? {
        let folder = hierarchy.join(name);
        fs::create_dir_all(&folder).map_err(Error::machine(format!("make {}", folder.display())))?;
        // A new set of the first version has no processor and no memory, and a process cannot be moved into it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (inherited, own) = (hierarchy.join(file), folder.join(file));
            if inherited.exists() && own.exists() {
                fs::read(&inherited).and_then(|content| fs::write(&own, content)).map_err(Error::machine(format!(
                    "copy {} to {}",
                    inherited.display(),
                    own.display()
                )))?;
            }
        }
    }
    Ok(())
}

/// Removes the tree where there is one. The processes in it must have been killed.
///
/// # Errors
/// [`Error::Node`] with the processes that keep it.
pub fn remove(name: &str) -> Result<()> {
    let start = Instant::now();
    for hierarchy in hierarchies()? {
        let folder = hierarchy.join(name);
        while let Err(error) = remove_tree(&folder) {
            // The kernel takes a killed process out of its group a moment after its end was seen.
            if start.elapsed() > EMPTIES {
                let what = format!("{} to be removed", folder.display());
                return Err(Error::Node { what, saw: format!("{error}; processes in it: {:?}", processes(&folder)) });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The processes of a group somewhere in the tree of that name.
///
/// # Errors
/// [`Error::Node`] when there is no such group, or nobody in it.
pub fn members(tree: &str, group: &str) -> Result<Vec<u32>> {
    let found = hierarchies()?.into_iter().find_map(|hierarchy| folder_named(&hierarchy.join(tree), group));
    let members: Vec<_> = found.as_deref().map(processes).unwrap_or_default().iter().filter_map(|number| number.parse().ok()).collect();
    if !members.is_empty() {
        return Ok(members);
    }
    let saw = found.map_or_else(|| "no such group".to_owned(), |folder| format!("none in {}", folder.display()));
    Err(Error::Node { what: format!("processes in a control group `{group}` of {tree}"), saw })
}

fn folder_named(tree: &Path, name: &str) -> Option<PathBuf> {
    let below = fs::read_dir(tree).into_iter().flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let folders: Vec<_> = below.map(|entry| entry.path()).collect();
    let own = folders.iter().find(|folder| folder.file_name().is_some_and(|found| found == name));
    own.cloned().or_else(|| folders.iter().find_map(|folder| folder_named(folder, name)))
}

fn processes(folder: &Path) -> Vec<String> {
    let own = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<_> = own.lines().map(str::to_owned).collect();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(processes(&entry.path()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_hierarchies_count() {
        let line = |root: &str, kind: &str| format!("30 25 0:26 {root} /sys/fs/cgroup/memory rw,relatime shared:9 - {kind} none rw,memory");
        assert_eq!(hierarchy(&line("/", "cgroup")), Some(PathBuf::from("/sys/fs/cgroup/memory")));
        assert_eq!(hierarchy(&line("/", "tmpfs")), None);
        assert_eq!(hierarchy(&line("/docker/1", "cgroup")), None, "a part of one that is shown elsewhere");
    }
}
