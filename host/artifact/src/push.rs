//! Publishing a component as the CNCF wasm artifact: one layer, its config, a manifest, the same bytes every time.
//!
//! Signing what was published lives in `sign`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use oci_client::annotations::{ORG_OPENCONTAINERS_IMAGE_CREATED, ORG_OPENCONTAINERS_IMAGE_TITLE, ORG_OPENCONTAINERS_IMAGE_VERSION};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use oci_wasm::{WASM_LAYER_MEDIA_TYPE, WASM_MANIFEST_CONFIG_MEDIA_TYPE, WasmConfig};

use crate::reference::{Digest, Tag};
use crate::source::{Source, SourceError};

/// Why a component was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Not a component.
    #[error("{title} is not a component: expected a WebAssembly component, found {found}; build it with `banhbaoring plugin build`")]
    NotAComponent {
        /// The title of the package.
        title: String,
        /// What the reader said.
        found: String,
    },
    /// It could not be written.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl PushError {
    /// Condition reason; one of a fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAComponent { .. } => "NotAComponent",
            Self::Source(error) => error.reason(),
        }
    }
}

/// A component and what is written about it.
#[derive(Debug, Clone)]
pub struct Package {
    /// The WebAssembly component.
    pub component: Vec<u8>,
    /// A file name such as `unseal-static.wasm`; other tools write the layer to it.
    pub title: String,
    /// The plugin's version, if known.
    pub version: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// When it was made. The epoch unless there is a reason, so that the same component is the same artifact.
    pub created: DateTime<Utc>,
    /// Further annotations of the manifest; those named above win.
    pub annotations: BTreeMap<String, String>,
}

impl Package {
    /// A component with a title, made at the epoch.
    #[must_use]
    pub fn new(title: impl Into<String>, component: Vec<u8>) -> Self {
        let (title, created) = (title.into(), DateTime::UNIX_EPOCH);
        Self { component, title, version: None, author: None, created, annotations: BTreeMap::new() }
    }
}

/// Publishes a component under a tag, or under its digest alone. The same package gives the same digest.
///
/// # Errors
/// The bytes are no component, or the target refused.
pub async fn push(target: &Source, package: &Package, tag: Option<&Tag>) -> Result<Digest, PushError> {
    let wrong = |found: String| PushError::NotAComponent { title: package.title.clone(), found: found.chars().take(200).collect() };
    // A module would be accepted by the reader below only to be refused at load.
    if package.component.get(4..8) != Some(&[0x0d, 0x00, 0x01, 0x00]) {
        return Err(wrong("no component header".to_owned()));
    }
    let (mut config, _) =
        WasmConfig::from_raw_component(package.component.clone(), package.author.clone()).map_err(|error| wrong(error.to_string()))?;
    config.created = package.created;
    let config = serde_json::to_vec(&config).map_err(|error| wrong(error.to_string()))?;

    let mut annotations = package.annotations.clone();
    annotations.insert(ORG_OPENCONTAINERS_IMAGE_TITLE.to_owned(), package.title.clone());
    let created = package.created.to_rfc3339_opts(SecondsFormat::Secs, true);
    annotations.insert(ORG_OPENCONTAINERS_IMAGE_CREATED.to_owned(), created);
    if let Some(version) = &package.version {
        annotations.insert(ORG_OPENCONTAINERS_IMAGE_VERSION.to_owned(), version.clone());
    }
    // The title belongs to the layer too: it is where ORAS looks for a file name.
    let layer_annotations = BTreeMap::from([(ORG_OPENCONTAINERS_IMAGE_TITLE.to_owned(), package.title.clone())]);
    let manifest = OciImageManifest {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        config: descriptor(WASM_MANIFEST_CONFIG_MEDIA_TYPE, &config, None),
        layers: vec![descriptor(WASM_LAYER_MEDIA_TYPE, &package.component, Some(layer_annotations))],
        subject: None,
        artifact_type: None,
        annotations: Some(annotations),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|error| wrong(error.to_string()))?;
    target.put_blob(&package.component).await?;
    target.put_blob(&config).await?;
    Ok(target.put_manifest(&manifest, tag).await?)
}

fn descriptor(kind: &str, bytes: &[u8], annotations: Option<BTreeMap<String, String>>) -> OciDescriptor {
    OciDescriptor {
        media_type: kind.to_owned(),
        digest: Digest::of(bytes).to_string(),
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        annotations,
        ..OciDescriptor::default()
    }
}
