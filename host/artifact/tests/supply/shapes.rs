//! Artifacts that are no components, and sizes that are too large.

use banhbaoring_artifact::*;
use serde_json::{Value, json};

use crate::support::raw::{INDEX, MANIFEST, Raw};
use crate::support::*;

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";

async fn fetch(source: &Source, digest: &Digest) -> Result<(), Error> {
    Ok(Artifact::fetch(source, digest, Limits::default()).await.map(drop)?)
}

struct Parts {
    raw: Raw,
    source: Source,
    _registry: Registry,
    config: Value,
    layer: Value,
}

async fn parts() -> Parts {
    let registry = Registry::distribution().await;
    let raw = Raw::new(&registry.address, "plugin");
    let layer = raw.put_blob_as(WASM, &component("p")).await;
    let config = json!({"created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
        "layerDigests": [layer["digest"]], "component": {"imports": ["wasi:cli/run@0.2.0"], "exports": [], "target": null}});
    let config = raw.put_blob_as(CONFIG, &serde_json::to_vec(&config).unwrap()).await;
    Parts { source: source(&registry.address, "plugin"), raw, _registry: registry, config, layer }
}

impl Parts {
    fn manifest(&self) -> Value {
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": self.config, "layers": [self.layer]})
    }

    async fn with_config(&self, config: &[u8]) -> Value {
        let mut manifest = self.manifest();
        manifest["config"] = self.raw.put_blob_as(CONFIG, config).await;
        manifest
    }
}

#[tokio::test]
async fn imports_can_be_seen_before_the_component_is_pulled() {
    let parts = parts().await;
    let digest = parts.raw.put_manifest(None, &parts.manifest()).await;
    let artifact = Artifact::fetch(&parts.source, &digest, Limits::default()).await.unwrap();
    assert_eq!(artifact.claimed_imports(), Some(["wasi:cli/run@0.2.0".to_owned()].as_slice()));
    assert_eq!(artifact.size(), component("p").len() as u64);
}

#[tokio::test]
async fn whatever_is_not_exactly_one_component_is_refused_with_what_was_found() {
    let parts = parts().await;
    let another = parts.raw.put_blob_as(WASM, &component("another")).await;
    let mut table: Vec<(&str, Value)> = Vec::new();
    let mut change = |what: &'static str, pointer: &str, value: Value| {
        let mut manifest = parts.manifest();
        *manifest.pointer_mut(pointer).unwrap() = value;
        table.push((what, manifest));
    };
    change("2 layers", "/layers", json!([parts.layer, another]));
    change("0 layers", "/layers", json!([]));
    change("vnd.wasm.content.layer", "/layers/0/mediaType", json!("application/vnd.wasm.content.layer.v1+wasm"));
    change("vnd.oci.image.config", "/config/mediaType", json!("application/vnd.oci.image.config.v1+json"));
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    table.push(("something else", index));
    for (what, config) in [
        ("expected", "{}".to_owned()),
        ("expected", "not json".to_owned()),
        ("amd64", r#"{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","layerDigests":[]}"#.to_owned()),
        (
            "sha256:",
            format!(r#"{{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip2","layerDigests":["{}"]}}"#, Digest::of(b"x")),
        ),
        ("missing field", format!(r#"{{"created":"1970-01-01T00:00:00Z","junk":{}{}}}"#, "[".repeat(5000), "]".repeat(5000))),
    ] {
        table.push((what, parts.with_config(config.as_bytes()).await));
    }
    for (what, manifest) in table {
        let digest = parts.raw.put_manifest(None, &manifest).await;
        let error = fetch(&parts.source, &digest).await.unwrap_err();
        assert_eq!(error.reason(), "NotAComponent", "{error}");
        assert!(error.to_string().contains(what), "expected {what:?} in: {error}");
    }
}

#[tokio::test]
async fn a_component_larger_than_the_limit_is_refused_before_it_is_pulled() {
    let parts = parts().await;
    let digest = parts.raw.put_manifest(None, &parts.manifest()).await;
    let limits = Limits { component: component("p").len() as u64 - 1 };
    let error = Artifact::fetch(&parts.source, &digest, limits).await.unwrap_err();
    assert_eq!(error.reason(), "ArtifactTooLarge");
}

#[tokio::test]
async fn a_layer_longer_than_its_manifest_says_is_refused() {
    let parts = parts().await;
    let mut manifest = parts.manifest();
    manifest["layers"][0]["size"] = json!(10);
    // The registry checks sizes of blobs that it has; a layout checks nothing.
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let config = parts.raw.blob(parts.config["digest"].as_str().unwrap()).await;
    for blob in [bytes.clone(), component("p"), config] {
        std::fs::write(blobs.join(Digest::of(&blob).hex()), blob).unwrap();
    }
    let layout = Source::layout(folder.path());
    let warn = vec![requirement(Mode::Warn, vec![authority("us", &SigningKey::generate())])];
    std::fs::write(folder.path().join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    let (reason, error) = refused(&layout, &Digest::of(&bytes), &warn).await;
    assert_eq!(reason, "ArtifactTooLarge", "{error}");
}

#[tokio::test]
async fn a_manifest_larger_than_4_mib_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let big = vec![b' '; (4 << 20) + 1];
    std::fs::write(blobs.join(Digest::of(&big).hex()), &big).unwrap();
    let error = fetch(&Source::layout(folder.path()), &Digest::of(&big)).await.unwrap_err();
    assert_eq!(error.reason(), "ArtifactTooLarge");
}
