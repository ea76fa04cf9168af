//! Kinds that a plugin brings: installed by the host once they are granted by name, and only ever changed additively.

use std::time::Duration;

use banhbaoring_cluster::Cluster;
use banhbaoring_cluster::crd::CrdError;
use banhbaoring_pipeline::contract::{Json, Kind};
use banhbaoring_pipeline::describe::kind_compatible;

use super::progress::{Setback, Stage};

/// How long the API server may take to serve a kind after its definition was written.
const DEADLINE: Duration = Duration::from_secs(20);

/// Installs or upgrades every kind of `plugin`.
pub(super) async fn kinds(cluster: &Cluster, plugin: &str, kinds: &[Kind]) -> Result<(), Setback> {
    for kind in kinds {
        let installed = cluster.installed_crd(&kind.crd, plugin).await.map_err(setback)?;
        if let Some(installed) = installed {
            kind_compatible(&installed, &kind.crd).map_err(|incompatible| Setback {
                stage: Stage::PermissionsGranted,
                reason: "KindIncompatible",
                message: format!("{}: {incompatible}", name(&kind.crd)),
                transient: false,
            })?;
        }
        cluster.install_crd(&kind.crd, plugin, DEADLINE).await.map_err(setback)?;
    }
    Ok(())
}

/// `group/Kind`.
pub(super) fn name(crd: &Json) -> String {
    let text = |pointer| crd.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    format!("{}/{}", text("/spec/group"), text("/spec/names/kind"))
}

fn setback(error: CrdError) -> Setback {
    let transient = match &error {
        CrdError::NotEstablished { .. } => true,
        CrdError::Api(error) => error.is_transient(),
        CrdError::NotADefinition { .. } | CrdError::KindConflict { .. } => false,
    };
    Setback { stage: Stage::PermissionsGranted, reason: error.reason(), message: error.to_string(), transient }
}
