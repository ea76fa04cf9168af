//! Tells the API server what to ask plugins about writes. Which objects that takes is `banhbaoring_pipeline::review`'s; here they are written as the
//! host, and taken away, as long as they are ours.

use banhbaoring_pipeline::contract::{Json, ObjectReference};
use banhbaoring_pipeline::review::Configuration;
use serde_json::{Value, json};

use crate::apply::{creation, set_metadata};
use crate::cluster::Cluster;
use crate::managed_fields::has_applied;
use crate::request::{Answer, ApiError, Endpoint, Propagation, Seen, text};

/// Field manager of what is written here.
const MANAGER: &str = "banhbaoring/admission";

/// Why the API server was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Somebody else made an object of that name.
    #[error("{object} exists and was not made by the host; remove it, or name the Plugin otherwise")]
    NotOurs {
        /// Which.
        object: String,
    },
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl AdmissionError {
    /// CamelCase, bounded.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotOurs { .. } => "NameTaken",
            Self::Api(error) => error.reason(),
        }
    }
}

impl Cluster {
    /// Makes it so. Nothing is sent where it is so already, but for reads.
    ///
    /// # Errors
    /// The first object that cannot be written or taken away; those before it are done.
    pub async fn configure_admission(&self, name: &str, told: &Configuration) -> Result<(), AdmissionError> {
        for manifest in &told.wanted {
            self.tell(manifest).await?;
        }
        for kind in &told.unwanted {
            let reference = reference(kind, name);
            let endpoint = Endpoint::find(&self.clients, &self.discovery, None, &reference).await?;
            let Some(live) = endpoint.get(Answer::Metadata).await? else { continue };
            let seen = Seen::of(&live);
            if has_applied(&seen.managed_fields, MANAGER) {
                endpoint.delete(&seen.uid, Some(&seen.resource_version), Propagation::Background).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, manifest: &Json) -> Result<(), AdmissionError> {
        let reference = reference(text(manifest, "/kind"), text(manifest, "/metadata/name"));
        let endpoint = Endpoint::find(&self.clients, &self.discovery, None, &reference).await?;
        let body = match endpoint.get(Answer::Whole).await? {
            None => creation(manifest, None),
            Some(live) => {
                let seen = Seen::of(&live);
                if !has_applied(&seen.managed_fields, MANAGER) {
                    return Err(AdmissionError::NotOurs { object: reference.to_string() });
                }
                if holds(&live, manifest) {
                    return Ok(());
                }
                let mut body = manifest.clone();
                set_metadata(&mut body, "uid", json!(seen.uid));
                body
            }
        };
        endpoint.apply(&body, MANAGER, Answer::Metadata).await?;
        Ok(())
    }
}

fn reference(kind: &str, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: "admissionregistration.k8s.io/v1".to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        name: name.to_owned(),
    }
}

/// Whether all that is wanted is there. What the API server adds by itself counts as no difference; an item too many in a list does.
fn holds(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| live.get(key).is_some_and(|live| holds(live, wanted)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| holds(live, wanted))
        }
        _ => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_adds_is_no_difference_and_what_somebody_adds_to_a_list_is() {
        let wanted = json!({"webhooks": [{"name": "a", "rules": [{"operations": ["CREATE"]}]}]});
        assert!(holds(&json!({"webhooks": [{"name": "a", "rules": [{"operations": ["CREATE"], "scope": "*"}]}], "metadata": {}}), &wanted));
        for other in [
            json!({}),
            json!({"webhooks": [{"name": "a", "rules": [{"operations": ["CREATE"]}]}, {"name": "b"}]}),
            json!({"webhooks": [{"name": "a", "rules": [{"operations": ["DELETE"]}]}]}),
        ] {
            assert!(!holds(&other, &wanted), "{other}");
        }
    }
}
