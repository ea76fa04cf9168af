//! Installs the definitions of kinds that plugins bring. The host does it itself, because no plugin's account may: which kinds were granted by name
//! is checked before, and whether a change is additive by `banhbaoring-pipeline`.

use std::time::Duration;

use banhbaoring_pipeline::contract::{Json, ObjectReference};
use banhbaoring_pipeline::plan::MANAGED_BY;
use serde_json::{Value, json};

use crate::apply::{creation, set_metadata};
use crate::cluster::Cluster;
use crate::managed_fields::has_applied;
use crate::request::{Answer, ApiError, Endpoint, Seen};

/// Says which plugin a definition was installed for.
pub const PLUGIN_ANNOTATION: &str = "banhbaoring.io/plugin";
/// Field manager of installed definitions.
pub const MANAGER: &str = "banhbaoring/kinds";

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Why a definition is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrdError {
    /// It is not a definition.
    #[error("expected a CustomResourceDefinition of apiextensions.k8s.io/v1 with a name, found {found}; mend the plugin's descriptor")]
    NotADefinition {
        /// What it is.
        found: String,
    },
    /// Somebody else installed one of that name.
    #[error(
        "definition {name} exists and was not installed for plugin {plugin} ({found}); remove it, or let the plugin bring another kind"
    )]
    KindConflict {
        /// Name of the definition.
        name: String,
        /// Who asks.
        plugin: String,
        /// Whose it is.
        found: String,
    },
    /// The API server does not serve it in time.
    #[error("definition {name} was installed and is not served after {waited} s: {message}; see its conditions")]
    NotEstablished {
        /// Name of the definition.
        name: String,
        /// Seconds.
        waited: u64,
        /// Its conditions.
        message: String,
    },
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CrdError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotADefinition { .. } => "KindInvalid",
            Self::KindConflict { .. } => "KindConflict",
            Self::NotEstablished { .. } => "KindNotEstablished",
            Self::Api(error) => error.reason(),
        }
    }
}

impl Cluster {
    /// The definition that is installed under this name for `plugin`, to compare with before an upgrade; `None` where there is none.
    ///
    /// # Errors
    /// One of that name exists and is somebody else's.
    pub async fn installed_crd(&self, crd: &Json, plugin: &str) -> Result<Option<Json>, CrdError> {
        let reference = reference(crd)?;
        let endpoint = Endpoint::find(&self.clients, &self.discovery, None, &reference).await?;
        let Some(live) = endpoint.get(Answer::Whole).await? else {
            return Ok(None);
        };
        check_ours(&live, &reference.name, plugin)?;
        Ok(Some(live))
    }

    /// Installs or upgrades the definition for `plugin` and waits until it is served.
    ///
    /// # Errors
    /// Somebody else's definition has the name, it is refused, or it is not established within `deadline`.
    pub async fn install_crd(&self, crd: &Json, plugin: &str, deadline: Duration) -> Result<(), CrdError> {
        let reference = reference(crd)?;
        let endpoint = Endpoint::find(&self.clients, &self.discovery, None, &reference).await?;
        let mut manifest = crd.clone();
        if let Some(manifest) = manifest.as_object_mut() {
            manifest.remove("status");
        }
        if !manifest["metadata"]["annotations"].is_object() {
            set_metadata(&mut manifest, "annotations", json!({}));
        }
        manifest["metadata"]["annotations"][PLUGIN_ANNOTATION] = json!(plugin);
        if !manifest["metadata"]["labels"].is_object() {
            set_metadata(&mut manifest, "labels", json!({}));
        }
        manifest["metadata"]["labels"][banhbaoring_pipeline::plan::MANAGED_BY_LABEL] = json!(MANAGED_BY);
        let applied = match endpoint.get(Answer::Metadata).await? {
            Some(live) => {
                check_ours(&live, &reference.name, plugin)?;
                set_metadata(&mut manifest, "uid", json!(Seen::of(&live).uid));
                endpoint.apply(&manifest, MANAGER, Answer::Whole).await
            }
            None => endpoint.apply(&creation(&manifest, None), MANAGER, Answer::Whole).await,
        };
        let applied = match applied {
            Err(ApiError::Conflict { .. }) => {
                let found = "somebody installed it at the same time".to_owned();
                return Err(CrdError::KindConflict { name: reference.name, plugin: plugin.to_owned(), found });
            }
            other => other?,
        };
        self.until_established(&endpoint, &reference.name, applied, deadline).await?;
        self.until_served(crd, deadline).await
    }

    async fn until_established(&self, endpoint: &Endpoint, name: &str, applied: Value, deadline: Duration) -> Result<(), CrdError> {
        let started = tokio::time::Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut live = applied;
        loop {
            if holds(&live, "Established") && !is_terminating(&live) {
                return Ok(());
            }
            if started.elapsed() >= deadline {
                let message = conditions(&live);
                return Err(CrdError::NotEstablished { name: name.to_owned(), waited: deadline.as_secs(), message });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            live = endpoint.get(Answer::Whole).await?.unwrap_or(Value::Null);
        }
    }

    /// Discovery follows a definition after a moment.
    async fn until_served(&self, crd: &Json, deadline: Duration) -> Result<(), CrdError> {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
        let versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        let served = versions.filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
        let wanted: Vec<String> = served.filter_map(|version| Some(format!("{group}/{}", version.get("name")?.as_str()?))).collect();
        let started = tokio::time::Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            self.discovery.refresh().await.map_err(ApiError::from)?;
            let missing = wanted.iter().find(|api_version| self.discovery.known(api_version, kind).is_none());
            let Some(missing) = missing else { return Ok(()) };
            if started.elapsed() >= deadline {
                let message = format!("{missing} {kind} is not in the list of served APIs");
                return Err(CrdError::NotEstablished { name: text("/metadata/name").to_owned(), waited: deadline.as_secs(), message });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn reference(crd: &Json) -> Result<ObjectReference, CrdError> {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let found = format!("{} {} {:?}", text("/apiVersion"), text("/kind"), text("/metadata/name"));
    if text("/apiVersion") != "apiextensions.k8s.io/v1" || text("/kind") != "CustomResourceDefinition" || text("/metadata/name").is_empty()
    {
        return Err(CrdError::NotADefinition { found });
    }
    Ok(ObjectReference {
        api_version: text("/apiVersion").to_owned(),
        kind: text("/kind").to_owned(),
        namespace: None,
        name: text("/metadata/name").to_owned(),
    })
}

/// The annotation alone proves nothing: it must be a field that our manager applied.
fn check_ours(live: &Value, name: &str, plugin: &str) -> Result<(), CrdError> {
    let seen = Seen::of(live);
    let owner = seen.annotations.get(PLUGIN_ANNOTATION).and_then(Value::as_str);
    let found = match owner {
        Some(owner) if owner == plugin && has_applied(&seen.managed_fields, MANAGER) => return Ok(()),
        Some(owner) if owner != plugin => format!("it was installed for plugin {owner}"),
        _ => "it was installed by somebody else".to_owned(),
    };
    Err(CrdError::KindConflict { name: name.to_owned(), plugin: plugin.to_owned(), found })
}

fn conditions_of(crd: &Value) -> impl Iterator<Item = &Value> {
    crd.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten()
}

fn holds(crd: &Value, wanted: &str) -> bool {
    conditions_of(crd).any(|condition| condition["type"] == wanted && condition["status"] == "True")
}

fn is_terminating(crd: &Value) -> bool {
    crd.pointer("/metadata/deletionTimestamp").is_some()
}

fn conditions(crd: &Value) -> String {
    let told: Vec<String> = conditions_of(crd)
        .filter(|condition| condition["status"] != "True" || condition["type"] == "Terminating")
        .filter_map(|condition| Some(format!("{}: {}", condition["type"].as_str()?, condition["message"].as_str()?)))
        .collect();
    if told.is_empty() { "it has no conditions yet".to_owned() } else { told.join("; ") }
}
