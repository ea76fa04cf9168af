//! Pushing: the shape of what is written, and that it is the same every time.

use banhbaoring_artifact::*;
use serde_json::json;

use crate::support::raw::Raw;
use crate::support::*;

#[tokio::test]
async fn a_pushed_component_has_the_shape_of_the_cncf_wasm_artifact() {
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "team/plugin");
    let mut package = Package::new("plugin.wasm", component("p"));
    package.version = Some("1.2.3".to_owned());
    package.author = Some("somebody".to_owned());
    package.annotations.insert("com.example.extra".to_owned(), "yes".to_owned());
    let digest = push(&source, &package, Some(&tag("1.2.3"))).await.unwrap();

    let raw = Raw::new(&registry.address, "team/plugin");
    let manifest = raw.manifest("1.2.3").await;
    assert_eq!(Digest::of(&serde_json::to_vec(&raw.manifest(&digest.to_string()).await).unwrap()).hex().len(), 64);
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.title"], "plugin.wasm");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.2.3");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "1970-01-01T00:00:00Z");
    assert_eq!(manifest["annotations"]["com.example.extra"], "yes");
    let config = raw.blob(manifest["config"]["digest"].as_str().unwrap()).await;
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let expected = json!({"created": "1970-01-01T00:00:00Z", "author": "somebody", "architecture": "wasm", "os": "wasip2",
        "layerDigests": [Digest::of(&component("p"))], "component": {"exports": [], "imports": [], "target": null}});
    assert_eq!(config, expected);

    let artifact = Artifact::fetch(&source, &digest, Limits::default()).await.unwrap();
    assert_eq!(artifact.claimed_imports(), Some([].as_slice()));
    assert_eq!(artifact.annotation("org.opencontainers.image.version"), Some("1.2.3"));
}

#[tokio::test]
async fn the_same_component_is_the_same_artifact_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for registry in Registry::both().await {
        let source = source(&registry.address, "plugin");
        digests.push(push_component(&source, "p", "1").await);
        digests.push(push_component(&source, "p", "2").await);
    }
    let layout = Source::layout(folder.path());
    digests.push(push_component(&layout, "p", "1").await);
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[tokio::test]
async fn a_component_may_be_pushed_by_digest_alone() {
    for registry in Registry::both().await {
        let source = source(&registry.address, "plugin");
        let digest = push(&source, &Package::new("p.wasm", component("p")), None).await.unwrap();
        assert!(Artifact::fetch(&source, &digest, Limits::default()).await.is_ok());
    }
}

#[tokio::test]
async fn what_is_no_component_is_not_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Source::layout(folder.path().join("new"));
    let module = wat::parse_str("(module)").unwrap();
    for bytes in [module, b"text".to_vec(), Vec::new(), b"\0asm\x0d\0\x01\0junk".to_vec()] {
        let error = push(&layout, &Package::new("p.wasm", bytes), Some(&tag("1"))).await.unwrap_err();
        assert_eq!(error.reason(), "NotAComponent", "{error}");
    }
    assert!(!folder.path().join("new").exists());
}

#[tokio::test]
async fn a_refused_push_says_so() {
    let registry = Registry::with_user("user", "password").await;
    let anonymous = source(&registry.address, "plugin");
    let error = push(&anonymous, &Package::new("p.wasm", component("p")), Some(&tag("1"))).await.unwrap_err();
    assert_eq!(error.reason(), "RegistryUnauthorized");
    let wrong = Raw::new(&registry.address, "plugin");
    drop(wrong);
    let error = sign(&anonymous, &Digest::of(b"x"), &SigningKey::generate(), Default::default()).await.unwrap_err();
    assert_eq!(error.reason(), "RegistryUnauthorized");
}
