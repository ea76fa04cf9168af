//! Directories in OCI image layout as source and target.

use banhbaoring_artifact::*;

use crate::support::*;

#[tokio::test]
async fn a_component_goes_through_a_layout_as_it_goes_through_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Source::layout(folder.path());
    let key = SigningKey::generate();
    let digest = push_component(&layout, "p", "1.0.0").await;
    let other = push_component(&layout, "other", "1.1.0").await;
    let trusted = enforce(vec![authority("us", &key)]);
    assert_eq!(refused(&layout, &digest, &trusted).await.0, "Unsigned");
    sign_with(&layout, &digest, &key).await;
    sign_with(&layout, &digest, &key).await;
    let (verification, pulled) = accept(&layout, &digest, &trusted).await.unwrap();
    assert_eq!(forms(&verification), [Form::Bundle]);
    assert_eq!(pulled.bytes(), component("p"));
    assert_eq!(refused(&layout, &other, &trusted).await.0, "Unsigned");

    assert_eq!(layout.resolve(&Selector::Tag(tag("1.0.0"))).await.unwrap(), digest);
    assert_eq!(layout.resolve(&Selector::from_fields(None, Some("1.x"), None).unwrap()).await.unwrap(), other);
    assert_eq!(layout.resolve(&Selector::Tag(tag("2"))).await.unwrap_err().reason(), "ArtifactNotFound");
    let moved = push_component(&layout, "moved", "1.0.0").await;
    assert_eq!(layout.resolve(&Selector::Tag(tag("1.0.0"))).await.unwrap(), moved);
    assert!(accept(&layout, &digest, &trusted).await.is_ok(), "the old digest stays");
}

#[tokio::test]
async fn what_the_real_cosign_saves_is_accepted_with_its_signature() {
    let cosign = Cosign::version3();
    let (private, public) = cosign.key_pair("k").await;
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let digest = push_component(&source, "p", "1").await;
    let reference = format!("{}/plugin@{digest}", registry.address);
    cosign.sign_legacy(&private, &reference).await;
    cosign.must(&["save", "--dir", "saved", &reference]).await;
    let layout = Source::layout(cosign.folder().join("saved"));
    let trusted = enforce(vec![authority_pem("us", cosign.read(&public))]);
    assert_eq!(layout.resolve(&Selector::Tag(tag("latest"))).await.unwrap(), digest);
    let (verification, _) = accept(&layout, &digest, &trusted).await.unwrap();
    assert_eq!(forms(&verification), [Form::SimpleSigning]);
}

#[tokio::test]
async fn a_damaged_layout_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Source::layout(folder.path());
    assert_eq!(layout.resolve(&Selector::Tag(tag("1"))).await.unwrap_err().reason(), "ArtifactNotFound");
    let key = SigningKey::generate();
    let digest = push_component(&layout, "p", "1").await;
    sign_with(&layout, &digest, &key).await;
    let trusted = enforce(vec![authority("us", &key)]);
    let blob = folder.path().join("blobs/sha256").join(Digest::of(&component("p")).hex());
    std::fs::write(&blob, b"something else").unwrap();
    assert_eq!(refused(&layout, &digest, &trusted).await.0, "DigestMismatch");
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(refused(&layout, &digest, &trusted).await.0, "ArtifactNotFound");
    std::fs::write(folder.path().join("index.json"), b"{").unwrap();
    assert_eq!(refused(&layout, &digest, &trusted).await.0, "RegistryMalformedAnswer");
}
