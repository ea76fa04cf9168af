//! What is said of a store that nobody gets into, with the commands that begin it again. Each of them names what would make it wrong to follow them.

use crate::access;
use crate::captured::requests::{RECOVERY_KEYS, ROOT_TOKEN};
use crate::cluster::Cluster;
use crate::initialization::is_by_itself;
use crate::live::Live;

/// Reason where the first initialisation was cut short before there was a store.
pub const CUT_SHORT: &str = "InitializationInterrupted";
/// Reason where an initialised store is gone.
pub const DATA_LOST: &str = "DataLost";
/// Reason where the store never let the operator in.
pub const ACCESS_REFUSED: &str = "OperatorRefused";

const RUNBOOK: &str = "docs/runbooks/init-answer-lost.md";

/// What makes the nodes that there are begin with empty volumes.
fn begin_again(cluster: &Cluster, nodes: i32) -> String {
    let pods: Vec<String> = (0..nodes).map(|ordinal| cluster.pod(ordinal)).collect();
    format!("{} && kubectl -n {} delete pod {}", delete_claims(cluster, nodes), cluster.namespace, pods.join(" "))
}

/// The first node was killed before there was a store.
pub fn cut_short(cluster: &Cluster) -> String {
    format!(
        "{} was ended while it initialised the store for the first time, and OpenBao cannot go on from there. Nobody ever got in, so there is nothing to lose: {}, and \
         it begins again; see {RUNBOOK}",
        cluster.pod(0),
        begin_again(cluster, 1)
    )
}

/// The store was initialised before.
pub fn data_lost(cluster: &Cluster) -> String {
    format!(
        "the store was initialised before, and now no node knows of it: the volumes data-{0}-… are not those of before. Nothing is initialised \
         again, because that would hide the loss. Bring the volumes back; or delete the cluster and restore a snapshot into a new one",
        cluster.name
    )
}

/// The keys of a store are there, and the store is not.
pub fn captured_data_lost(cluster: &Cluster) -> String {
    let secret = cluster.init_secret();
    format!(
        "Secret {secret} has the keys of a store that was initialised, and {} says that it is not: its volume is not that of before. Nothing is initialised again, because \
         that would hide the loss. Bring the volume back. If nobody ever used that store, take its keys out of the Secret, and it begins again: kubectl -n {} patch \
         secret {secret} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/data/{ROOT_TOKEN}\"}},{{\"op\":\"remove\",\"path\":\"/data/{RECOVERY_KEYS}\"}}]'; see {RUNBOOK}",
        cluster.pod(0),
        cluster.namespace
    )
}

/// The answer to the operator's request is nowhere.
pub fn answer_lost(cluster: &Cluster) -> String {
    format!(
        "the operator asked {} to initialise the store, the store is initialised, and the answer with its only keys is not in Secret {}: whoever carried it was ended. No \
         user was made, so nobody can get in, and there is nothing to lose: {}, and it begins again. Not if somebody else sent POST /v1/sys/init and keeps what it \
         answered; see {RUNBOOK}",
        cluster.pod(0),
        cluster.init_secret(),
        begin_again(cluster, 1)
    )
}

/// The token in the Secret opens nothing.
pub fn root_token_refused(cluster: &Cluster) -> String {
    format!(
        "Secret {} has no root token that the store takes, and the store does not let the operator in. Either somebody took the token out or revoked it before the \
         users were made, or the volume is not the one that the Secret belongs to. If you have the token, put it back. If not, make another with the recovery keys \
         (bao operator generate-root), and with that {}",
        cluster.init_secret(),
        access::by_hand(cluster)
    )
}

/// The operator initialises a store of one node alone.
pub fn one_node_first(cluster: &Cluster) -> String {
    let Cluster { name, namespace, .. } = cluster;
    format!(
        "the operator initialises a store while there is one node: kubectl -n {namespace} scale statefulset {name} --replicas=1; the others come back by themselves"
    )
}

/// The store does not let the operator in, and whose volumes it is on is not known.
pub fn refused_on_unknown_volumes(cluster: &Cluster) -> String {
    format!(
        "the store refuses the operator's login, and whether its volumes were kept from a cluster before is not known: all of their claims have to be there and to \
         be of this cluster. It may be in use, so nothing is to be deleted. To let the operator in, {}",
        access::by_hand(cluster)
    )
}

/// The store never let the operator in.
pub fn never_let_in(cluster: &Cluster, live: &Live) -> String {
    let nodes = live.replicas().unwrap_or_default().max(live.wanted(cluster));
    let Cluster { name, namespace, .. } = cluster;
    // A node that finds an empty volume must not begin a store while others may have one, so that all of them go first.
    let again = if is_by_itself(cluster).unwrap_or(false) {
        format!("kubectl -n {namespace} scale statefulset {name} --replicas=0 && {}", delete_claims(cluster, nodes))
    } else {
        begin_again(cluster, nodes)
    };
    format!(
        "the store is initialised and never let the operator in, so its users were probably never made: the first node was ended right after it had initialised the store. Try \
         to log in as admin. If that is refused too, and nobody ever got in, there is nothing to lose: {again}, and it begins again. If somebody ever did, do not: {}",
        access::by_hand(cluster)
    )
}

/// All nodes of it were taken away, and its volumes are there.
pub fn put_down(cluster: &Cluster) -> String {
    let Cluster { name, namespace, spec, .. } = cluster;
    format!(
        "the store never let the operator in, and its StatefulSet was scaled to no nodes. It begins again with empty volumes once all pods and claims are seen gone: {}, and it begins \
         again. To keep the store: kubectl -n {namespace} scale statefulset {name} --replicas={}",
        delete_claims(cluster, spec.replicas),
        spec.replicas
    )
}

fn delete_claims(cluster: &Cluster, nodes: i32) -> String {
    let claims: Vec<String> = (0..nodes).flat_map(|ordinal| cluster.claims(ordinal)).collect();
    format!("kubectl -n {} delete pvc {} --wait=false", cluster.namespace, claims.join(" "))
}
