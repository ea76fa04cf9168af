//! What would go with the cluster if it were deleted now. The garbage collector and the StatefulSet's controller read the objects that there are and not the
//! spec of the cluster, so that is what is told, and what a deletion is judged by ([`crate::admission`]).

use banhbaoring_openbao_api::DeletionPolicy;
use banhbaoring_sdk::Context;

use crate::cluster::Cluster;
use crate::component::OpenBao;

/// What the StatefulSet says of its claims where it is deleted. An API server that does not know it keeps them.
pub const WHEN_DELETED: &str = "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted";
/// Who takes an object along.
pub const OWNERS: &str = "/metadata/ownerReferences";

/// The policy that is in force, by the StatefulSet and by the ConfigMap with the authority's certificate. The Secret with its key has the same owners, written
/// in the same step, and is not shown. Absent without a StatefulSet.
pub fn in_force(cx: &Context<OpenBao>, cluster: &Cluster) -> Option<DeletionPolicy> {
    let stateful_set = cx.child("StatefulSet", cluster.name)?;
    let owners = cx.child("ConfigMap", &cluster.ca_config_map()).and_then(|authority| authority.field(OWNERS).as_array());
    let goes = owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == cx.uid()));
    Some(match stateful_set.field(WHEN_DELETED).as_str() {
        _ if goes => DeletionPolicy::DeleteAll,
        Some("Delete") => DeletionPolicy::DeletePVCs,
        _ => DeletionPolicy::Retain,
    })
}
