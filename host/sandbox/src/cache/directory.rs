//! The cache's directory: opened once, checked, and used through its descriptor, so that a path swapped later leads nowhere. Knows files
//! and owners, nothing of code.

use std::collections::hash_map::RandomState;
use std::ffi::CStr;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

/// Largest file that is read.
const MAX_FILE: u64 = 1 << 30;
/// Code that nobody asked for in this time is of a version that is gone.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// A temporary file of this age belongs to a process that died while it wrote.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused.
    #[error("{path}: {source}; give the cache a directory that this user may write to")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could put code there.
    #[error(
        "{path}: expected a directory of user {user} with mode 0700, found owner {owner} and mode {mode:04o}; make it so or give another"
    )]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Who runs.
        user: u32,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
}

/// What lies under a name.
pub(super) enum Found {
    Nothing,
    File(Vec<u8>),
    /// Not a private file of ours.
    Foreign(&'static str),
}

pub(super) struct Directory {
    fd: OwnedFd,
    user: u32,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let failed = |errno: Errno| CacheError::Io { path: path.to_owned(), source: errno.into() };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| CacheError::Io { path: path.to_owned(), source })?;
        }
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        let user = rustix::process::geteuid().as_raw();
        let mode = stat.st_mode & 0o7777;
        if stat.st_uid != user || mode & 0o077 != 0 {
            return Err(CacheError::NotPrivate { path: path.to_owned(), user, owner: stat.st_uid, mode });
        }
        let directory = Self { fd, user };
        directory.sweep();
        Ok(directory)
    }

    /// Removes what a crash or an upgrade left behind. What cannot be looked at stays: it costs space and nothing else.
    fn sweep(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Ok(entries) = Dir::read_from(&self.fd) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name: &CStr = entry.file_name();
            let Ok(text) = name.to_str() else { continue };
            let keep = match text.rsplit_once('.') {
                Some((_, "tmp")) => ABANDONED,
                Some((_, "code")) => UNUSED,
                _ => continue,
            };
            let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let changed = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or_default());
            if now.saturating_sub(changed) > keep {
                self.remove(text);
            }
        }
    }

    /// Opens, looks at and reads one and the same file.
    pub(super) fn read(&self, name: &str) -> std::io::Result<Found> {
        // Non-blocking: somebody's pipe under that name must not hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::LOOP) => return Ok(Found::Foreign("it is a symbolic link")),
            Err(errno) => return Err(errno.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Found::Foreign("it is no regular file"));
        }
        if stat.st_uid != self.user || stat.st_mode & 0o077 != 0 {
            return Ok(Found::Foreign("others own or may touch it"));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > MAX_FILE {
            return Ok(Found::Foreign("it is too large"));
        }
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // Its time tells when it was last asked for; that it cannot be set (a read-only volume) is no reason not to use it.
        let _ = rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now });
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(Found::File(bytes))
    }

    /// Writes a file as a whole: another process sees all of it or nothing.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        // Random and not the process's id: in containers that share a volume each process may be the first.
        let temporary = format!("{:016x}.tmp", RandomState::new().hash_one(name));
        let written = self.write_temporary(&temporary, parts).and_then(|()| {
            rustix::fs::renameat(&self.fd, temporary.as_str(), &self.fd, name)?;
            Ok(rustix::fs::fsync(&self.fd)?)
        });
        if written.is_err() {
            self.remove(&temporary);
        }
        written
    }

    fn write_temporary(&self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?);
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()
    }

    /// Removes a name, whatever it is; that it is not there is as good.
    pub(super) fn remove(&self, name: &str) {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::warn!(file = name, %error, "a file of the code cache cannot be removed"),
        }
    }
}
