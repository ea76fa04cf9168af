//! Writing and reading a registry without our client, to put things there that our client would never write.

use banhbaoring_artifact::Digest;
use serde_json::{Value, json};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A repository, spoken to in plain HTTP.
pub struct Raw {
    base: String,
    client: reqwest::Client,
}

impl Raw {
    pub fn new(address: &str, path: &str) -> Self {
        Self { base: format!("http://{address}/v2/{path}"), client: reqwest::Client::new() }
    }

    pub async fn put_blob(&self, bytes: &[u8]) -> Value {
        let begun = self.client.post(format!("{}/blobs/uploads/", self.base)).body("").send().await.unwrap();
        let location = begun.headers()["location"].to_str().unwrap();
        let mut url = begun.url().join(location).unwrap();
        let digest = Digest::of(bytes);
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let put = self.client.put(url).header("content-type", "application/octet-stream").body(bytes.to_vec());
        let answer = put.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        json!({"mediaType": "application/octet-stream", "digest": digest, "size": bytes.len()})
    }

    pub async fn put_blob_as(&self, kind: &str, bytes: &[u8]) -> Value {
        let mut descriptor = self.put_blob(bytes).await;
        descriptor["mediaType"] = json!(kind);
        descriptor
    }

    /// Writes a manifest under a tag, or under its digest.
    pub async fn put_manifest(&self, name: Option<&str>, manifest: &Value) -> Digest {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = Digest::of(&bytes);
        let name = name.map_or_else(|| digest.to_string(), str::to_owned);
        let kind = manifest["mediaType"].as_str().unwrap_or(MANIFEST).to_owned();
        let put = self.client.put(format!("{}/manifests/{name}", self.base)).header("content-type", kind).body(bytes);
        let answer = put.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
        digest
    }

    pub async fn manifest(&self, name: &str) -> Value {
        let get = self.client.get(format!("{}/manifests/{name}", self.base)).header("accept", format!("{MANIFEST}, {INDEX}"));
        let answer = get.send().await.unwrap();
        assert!(answer.status().is_success(), "{name}: {answer:?}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    pub async fn blob(&self, digest: &str) -> Vec<u8> {
        let answer = self.client.get(format!("{}/blobs/{digest}", self.base)).send().await.unwrap();
        answer.error_for_status().unwrap().bytes().await.unwrap().to_vec()
    }

    /// Brings a manifest and what it is made of here from another repository, under the same tag.
    pub async fn copy_from(&self, other: &Self, name: &str) {
        let manifest = other.manifest(name).await;
        for part in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
            self.put_blob(&other.blob(part["digest"].as_str().unwrap()).await).await;
        }
        self.put_manifest(Some(name), &manifest).await;
    }

    /// The bundles that are attached to an artifact by the fallback tag.
    pub async fn bundles(&self, artifact: &Digest) -> Vec<Vec<u8>> {
        let index = self.manifest(&fallback(artifact)).await;
        let mut bundles = Vec::new();
        for entry in index["manifests"].as_array().unwrap() {
            let manifest = self.manifest(entry["digest"].as_str().unwrap()).await;
            bundles.push(self.blob(manifest["layers"][0]["digest"].as_str().unwrap()).await);
        }
        bundles
    }

    /// Attaches anything as if it were a signature, by the fallback tag, before what is attached already.
    pub async fn attach(&self, artifact: &Digest, kind: &str, content: &[u8]) {
        let config = self.put_blob_as("application/vnd.oci.empty.v1+json", b"{}").await;
        let layer = self.put_blob_as(kind, content).await;
        let subject = json!({"mediaType": MANIFEST, "digest": artifact, "size": 2});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config,
            "layers": [layer], "subject": subject});
        let digest = self.put_manifest(None, &manifest).await;
        let size = serde_json::to_vec(&manifest).unwrap().len();
        let entry = json!({"mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": kind});
        let url = format!("{}/manifests/{}", self.base, fallback(artifact));
        let found = self.client.get(url).header("accept", INDEX).send().await.unwrap();
        let mut entries = vec![entry];
        if found.status().is_success() {
            let index: Value = serde_json::from_slice(&found.bytes().await.unwrap()).unwrap();
            entries.extend(index["manifests"].as_array().unwrap().clone());
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        self.put_manifest(Some(&fallback(artifact)), &index).await;
    }
}

pub fn fallback(artifact: &Digest) -> String {
    format!("sha256-{}", artifact.hex())
}
