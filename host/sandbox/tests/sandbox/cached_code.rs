//! The cache of compiled code: it saves compiling, and nothing that somebody put there is run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use banhbaoring_hostile::Puppet;
use banhbaoring_sandbox::{
    Allocation, CacheError, CacheKey, CacheStatistics, CallLimits, CodeCache, EngineSettings, Sandbox, TrustedComponent,
};

const KEY: [u8; 32] = [7; 32];

fn open(directory: &Path, key: [u8; 32]) -> Sandbox {
    with_allocation(directory, key, Allocation::OnDemand)
}

fn with_allocation(directory: &Path, key: [u8; 32], allocation: Allocation) -> Sandbox {
    let cache = CodeCache::open(directory, CacheKey::new(key)).unwrap();
    Sandbox::new(EngineSettings { allocation: Some(allocation), concurrent_calls: 2 }, Some(cache)).unwrap()
}

fn component(name: &str) -> TrustedComponent {
    TrustedComponent::local_file(Puppet { name: name.to_owned(), ..Puppet::default() }.component())
}

/// Loads and asks for the name, so that the code that was loaded is run.
fn load(sandbox: &Sandbox, name: &str) -> CacheStatistics {
    let module = sandbox.load(&component(name), CallLimits::default()).unwrap();
    assert_eq!(module.describe().unwrap().name, name);
    sandbox.cache().unwrap().statistics()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A cache with the code of one plugin in it.
fn filled() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("code");
    assert_eq!(load(&open(&directory, KEY), "a"), CacheStatistics { misses: 1, written: 1, ..Default::default() });
    let [file] = files(&directory).try_into().unwrap();
    (temporary, directory, file)
}

/// The next start does not run what is there: it is deleted, counted, compiled and written again.
fn assert_rejected(directory: &Path) {
    let expected = CacheStatistics { rejected: 1, written: 1, ..Default::default() };
    assert_eq!(load(&open(directory, KEY), "a"), expected);
    assert_eq!(load(&open(directory, KEY), "a"), CacheStatistics { hits: 1, ..Default::default() });
}

#[test]
fn compiled_code_is_found_after_a_restart() {
    let (_keep, directory, file) = filled();
    assert_eq!(load(&open(&directory, KEY), "a"), CacheStatistics { hits: 1, ..Default::default() });
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
}

#[test]
fn code_is_kept_by_component_and_by_configuration_of_the_engine() {
    let (_keep, directory, _) = filled();
    assert_eq!(load(&open(&directory, KEY), "b").misses, 1);
    assert_eq!(load(&with_allocation(&directory, KEY, Allocation::Pooling), "a").misses, 1);
    assert_eq!(files(&directory).len(), 3);
    assert_eq!(load(&with_allocation(&directory, KEY, Allocation::Pooling), "a").hits, 1);
}

#[test]
fn code_with_any_byte_changed_is_not_run() {
    let (_keep, directory, file) = filled();
    let whole = fs::read(&file).unwrap();
    for at in [0, 8, 39, 40, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).unwrap();
        assert_rejected(&directory);
    }
}

#[test]
fn truncated_and_lengthened_code_is_not_run() {
    let (_keep, directory, file) = filled();
    let whole = fs::read(&file).unwrap();
    for bytes in [&whole[..0], &whole[..20], &whole[..40], &whole[..whole.len() - 1], &[&whole[..], &[0]].concat()] {
        fs::write(&file, bytes).unwrap();
        assert_rejected(&directory);
    }
}

#[test]
fn code_of_another_plugin_under_this_ones_name_is_not_run() {
    let (_keep, directory, file) = filled();
    load(&open(&directory, KEY), "b");
    let other = files(&directory).into_iter().find(|path| *path != file).unwrap();
    fs::rename(other, &file).unwrap();
    assert_rejected(&directory);
}

#[test]
fn code_under_another_key_is_not_run() {
    let (_keep, directory, file) = filled();
    fs::remove_file(&file).unwrap();
    load(&open(&directory, [8; 32]), "a");
    assert_rejected(&directory);
}

#[test]
fn links_and_files_that_others_may_write_to_are_not_followed_or_run() {
    let (keep, directory, file) = filled();
    let elsewhere = keep.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_rejected(&directory);
    assert!(elsewhere.exists(), "the link is deleted, not what it leads to");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
    assert_rejected(&directory);
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    assert_rejected(&directory);
}

#[test]
fn a_directory_that_is_not_private_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("code");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o750)).unwrap();
    let error = CodeCache::open(&directory, CacheKey::new(KEY)).unwrap_err();
    assert!(matches!(error, CacheError::NotPrivate { mode: 0o750, .. }), "{error}");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    CodeCache::open(&directory, CacheKey::new(KEY)).unwrap();
    let link = temporary.path().join("link");
    symlink(&directory, &link).unwrap();
    assert!(matches!(CodeCache::open(&link, CacheKey::new(KEY)).unwrap_err(), CacheError::Io { .. }));
}

#[test]
fn a_cache_that_cannot_be_written_is_no_reason_to_fail() {
    let (_keep, directory, _) = filled();
    let sandbox = open(&directory, KEY);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(load(&sandbox, "a"), CacheStatistics { misses: 1, write_failures: 1, ..Default::default() });
}

#[test]
fn processes_that_share_a_cache_do_not_disturb_each_other() {
    let (_keep, directory, file) = filled();
    let sandboxes: Vec<_> = (0..4).map(|_| open(&directory, KEY)).collect();
    std::thread::scope(|scope| {
        for sandbox in &sandboxes {
            scope.spawn(|| (0..5).map(|n| load(sandbox, ["a", "b"][n % 2])).for_each(|seen| assert_eq!(seen.write_failures, 0)));
        }
    });
    assert!(sandboxes.iter().all(|sandbox| sandbox.cache().unwrap().statistics().rejected == 0));
    assert!(file.exists() && files(&directory).len() == 2, "{:?}", files(&directory));
}

#[test]
fn what_a_crash_or_an_upgrade_left_behind_is_removed_at_the_next_start() {
    let (_keep, directory, file) = filled();
    let aged = |name: &str, age: Duration| {
        let path = directory.join(name);
        fs::write(&path, b"x").unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        path
    };
    let gone = [aged("0123.tmp", Duration::from_secs(7_200)), aged("0123.code", Duration::from_secs(31 * 86_400))];
    let kept = [aged("4567.tmp", Duration::from_secs(60)), aged("4567.code", Duration::from_secs(86_400)), file];
    open(&directory, KEY);
    assert!(gone.iter().all(|path| !path.exists()) && kept.iter().all(|path| path.exists()), "{:?}", files(&directory));
}

#[test]
fn code_that_is_asked_for_stays() {
    let (_keep, directory, file) = filled();
    let old = SystemTime::now() - Duration::from_secs(29 * 86_400);
    fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
    load(&open(&directory, KEY), "a");
    assert!(fs::metadata(&file).unwrap().modified().unwrap() > old + Duration::from_secs(86_400));
}

#[test]
fn the_key_is_not_shown() {
    assert!(!format!("{:?}", CacheKey::new(KEY)).contains('7'));
}
