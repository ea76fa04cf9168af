//! The definitions of the host's own kinds, kept as this binary knows them: made where they are missing and extended where they are older. Kinds of
//! plugins are `lifecycle`'s.
//!
//! Helm makes definitions once and never upgrades them; a manifest that is applied again after a rollback would take fields away, and with them what
//! is stored in them. So whoever runs carries its definitions along, by whatever means it came to the cluster, and they only ever grow.

use std::time::Duration;

use banhbaoring_pipeline::describe::kind_compatible;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tracing::{info, warn};

/// Field manager of what is written here.
const MANAGER: &str = "banhbaoring/definitions";
/// Wait for an API server that does not answer.
const RETRY: Duration = Duration::from_secs(2);

/// What is to be done about a definition.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is missing, or ours says the same or more.
    Write,
    /// A later version of the host was here: what it stored stays readable.
    Leave(String),
}

/// Brings all of them up to date. Every replica does so before it looks at anything: a definition that only grows does not disturb one of an older
/// version that still leads. Returns when no more can be done; what was refused is told in the log, because whoever withholds the right to write
/// definitions keeps them by other means.
pub(crate) async fn keep(client: Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    for definition in banhbaoring_api::crds() {
        let name = definition.name_any();
        loop {
            match bring(&api, &name, &definition).await {
                Ok(Verdict::Write) => break,
                Ok(Verdict::Leave(why)) => {
                    info!(definition = %name, %why, "installed by a later version; it stays as it is");
                    break;
                }
                Err(kube::Error::Api(status)) if status.code != 409 && status.code != 429 && status.code < 500 => {
                    warn!(definition = %name, error = %status.message, "not brought up to date; let the host get, create and patch it, or apply what `banhbaoring crds` prints");
                    break;
                }
                Err(error) => {
                    warn!(definition = %name, %error, "not brought up to date; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

async fn bring(api: &Api<CustomResourceDefinition>, name: &str, wanted: &CustomResourceDefinition) -> Result<Verdict, kube::Error> {
    let installed = api.get_opt(name).await?;
    let installed = installed.map(|installed| serde_json::to_value(installed).map_err(kube::Error::SerdeError)).transpose()?;
    let verdict = verdict(installed.as_ref(), &serde_json::to_value(wanted).map_err(kube::Error::SerdeError)?);
    if verdict == Verdict::Write {
        api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(wanted)).await?;
    }
    Ok(verdict)
}

fn verdict(installed: Option<&Value>, wanted: &Value) -> Verdict {
    match installed.map(|installed| kind_compatible(installed, wanted)) {
        None | Some(Ok(())) => Verdict::Write,
        Some(Err(incompatible)) => Verdict::Leave(incompatible.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";

    fn plugins() -> Value {
        serde_json::to_value(&banhbaoring_api::crds()[0]).unwrap()
    }

    #[test]
    fn one_that_is_missing_or_lacks_a_field_is_written() {
        let mut older = plugins();
        older.pointer_mut(PROPERTIES).unwrap().as_object_mut().unwrap().remove("suspend").unwrap();
        assert_eq!(verdict(None, &plugins()), Verdict::Write);
        assert_eq!(verdict(Some(&older), &plugins()), Verdict::Write);
    }

    #[test]
    fn one_with_a_field_that_is_not_known_here_stays() {
        let mut later = plugins();
        later.pointer_mut(PROPERTIES).unwrap()["later"] = serde_json::json!({"type": "string"});
        let Verdict::Leave(why) = verdict(Some(&later), &plugins()) else { panic!("it would take the field away") };
        assert!(why.contains("later"), "{why}");
    }
}
