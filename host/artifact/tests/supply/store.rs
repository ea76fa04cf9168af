//! The content store: what was good survives with the registry down, and nothing in it is trusted.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use banhbaoring_artifact::*;

use crate::support::*;

struct Kept {
    _folder: tempfile::TempDir,
    root: std::path::PathBuf,
    store: ContentStore,
    digest: Digest,
    trusted: Vec<Requirement>,
    key: SigningKey,
}

/// Signed in both forms, saved, and the registry gone.
async fn kept() -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let key = SigningKey::generate();
    let digest = push_component(&source, "p", "1").await;
    sign_with(&source, &digest, &key).await;
    let trusted = enforce(vec![authority("us", &key)]);
    let verified = Artifact::fetch(&source, &digest, Limits::default()).await.unwrap().verify(&trusted).await.unwrap();
    let pulled = verified.pull().await.unwrap();
    let store = ContentStore::open(&root).unwrap();
    store.save(&verified, &pulled).await.unwrap();
    Kept { _folder: folder, root, store, digest, trusted, key }
}

async fn load(kept: &Kept, trusted: &[Requirement]) -> Result<Component, Error> {
    // As after a restart.
    let store = ContentStore::open(&kept.root).unwrap();
    let artifact = store.load(&kept.digest, Limits::default()).await?;
    Ok(artifact.verify(trusted).await?.pull().await?)
}

fn files(root: &Path) -> Vec<std::path::PathBuf> {
    let list = |name: &str| std::fs::read_dir(root.join(name)).unwrap().map(|entry| entry.unwrap().path());
    list("artifacts").chain(list("blobs/sha256")).collect()
}

#[tokio::test]
async fn the_last_known_good_survives_a_restart_with_the_registry_down() {
    let kept = kept().await;
    let component = load(&kept, &kept.trusted).await.unwrap();
    assert_eq!(component.bytes(), crate::support::component("p"));
    assert_eq!(std::fs::metadata(&kept.root).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(files(&kept.root).len(), 4);
}

#[tokio::test]
async fn a_legacy_signature_survives_too() {
    let cosign = Cosign::version2();
    let (private, public) = cosign.key_pair("k").await;
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    cosign.sign_legacy(&private, &format!("{}/plugin@{digest}", registry.address)).await;
    let trusted = enforce(vec![authority_pem("us", cosign.read(&public))]);
    let verified = Artifact::fetch(&source, &digest, Limits::default()).await.unwrap().verify(&trusted).await.unwrap();
    let store = ContentStore::open(cosign.folder().join("store")).unwrap();
    store.save(&verified, &verified.pull().await.unwrap()).await.unwrap();
    registry.stop();
    let loaded = store.load(&digest, Limits::default()).await.unwrap().verify(&trusted).await.unwrap();
    assert_eq!(forms(loaded.verification()), [Form::SimpleSigning]);
    // What was loaded can be saved again with nothing lost.
    store.save(&loaded, &loaded.pull().await.unwrap()).await.unwrap();
    store.load(&digest, Limits::default()).await.unwrap().verify(&trusted).await.unwrap();
}

#[tokio::test]
async fn what_is_loaded_is_verified_against_the_keys_of_today() {
    let kept = kept().await;
    let today = enforce(vec![authority("new", &SigningKey::generate())]);
    assert_eq!(load(&kept, &today).await.unwrap_err().reason(), "WrongKey");
    let also = [kept.trusted.clone(), today].concat();
    assert_eq!(load(&kept, &also).await.unwrap_err().reason(), "WrongKey");
    assert!(load(&kept, &enforce(vec![authority("renamed", &kept.key)])).await.is_ok());
}

#[tokio::test]
async fn a_file_that_was_changed_on_disk_is_never_used() {
    let kept = kept().await;
    for file in files(&kept.root) {
        let good = std::fs::read(&file).unwrap();
        for change in [Vec::new(), vec![0; good.len()], [good.as_slice(), b"x"].concat(), b"{}".to_vec()] {
            std::fs::write(&file, change).unwrap();
            assert!(load(&kept, &kept.trusted).await.is_err(), "{} was changed and used", file.display());
        }
        std::fs::remove_file(&file).unwrap();
        assert!(load(&kept, &kept.trusted).await.is_err(), "{} was removed", file.display());
        std::fs::write(&file, good).unwrap();
    }
    load(&kept, &kept.trusted).await.unwrap();
}

#[tokio::test]
async fn the_signatures_of_one_artifact_do_not_help_another() {
    let kept = kept().await;
    let evil_bytes = component("evil");
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let evil = push_component(&source, "evil", "1").await;
    let warn = vec![requirement(Mode::Warn, vec![authority("us", &kept.key)])];
    let verified = Artifact::fetch(&source, &evil, Limits::default()).await.unwrap().verify(&warn).await.unwrap();
    let pulled = verified.pull().await.unwrap();
    assert_eq!(pulled.bytes(), evil_bytes);
    kept.store.save(&verified, &pulled).await.unwrap();
    let record = |digest: &Digest| kept.root.join("artifacts").join(format!("{}.json", digest.hex()));
    std::fs::copy(record(&kept.digest), record(&evil)).unwrap();
    let loaded = kept.store.load(&evil, Limits::default()).await.unwrap();
    assert_eq!(loaded.verify(&kept.trusted).await.unwrap_err().reason(), "SignatureReplayed");
}

#[tokio::test]
async fn a_component_of_another_artifact_is_not_saved() {
    let kept = kept().await;
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "other", "1").await;
    sign_with(&source, &digest, &kept.key).await;
    let verified = Artifact::fetch(&source, &digest, Limits::default()).await.unwrap().verify(&kept.trusted).await.unwrap();
    let foreign = load(&kept, &kept.trusted).await.unwrap();
    assert_eq!(kept.store.save(&verified, &foreign).await.unwrap_err().reason(), "DigestMismatch");
}

#[tokio::test]
async fn what_is_not_retained_is_removed_and_the_rest_stays_whole() {
    let kept = kept().await;
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let other = push_component(&source, "other", "1").await;
    sign_with(&source, &other, &kept.key).await;
    let verified = Artifact::fetch(&source, &other, Limits::default()).await.unwrap().verify(&kept.trusted).await.unwrap();
    kept.store.save(&verified, &verified.pull().await.unwrap()).await.unwrap();
    assert_eq!(files(&kept.root).len(), 8);
    kept.store.retain(&[kept.digest]).await.unwrap();
    assert_eq!(files(&kept.root).len(), 4);
    load(&kept, &kept.trusted).await.unwrap();
    assert_eq!(kept.store.load(&other, Limits::default()).await.unwrap_err().reason(), "ArtifactNotFound");
}
