//! The nodes.
//!
//! A change of `config.hcl` rolls the pods through an annotation with its hash: OpenBao reads most of its configuration only at start.
//! Certificates are read at start and on SIGHUP, which nobody can send into a pod; from 2.7 on OpenBao looks for new ones by itself
//! (`tls_auto_reload`), before that a renewed certificate rolls the pods through the placeholder `$(hash:…)` that the host fills in. One
//! node at a time restarts and unseals itself, twice in a certificate's life; the alternative, a second container that shares the
//! process namespace to send signals, would be there all the time. Credentials of the seal roll them the same way in every version: [`super::credentials`].
//!
//! Which node restarts when is [`crate::rollout`]'s; here is only how it is written down.

use std::collections::BTreeMap;

use banhbaoring_openbao_api::{DeletionPolicy, PodSpec as Wishes, StorageSpec};
use banhbaoring_sdk::Failure;
use banhbaoring_sdk::contract::SecretHash;
use banhbaoring_sdk::json::canonical;
use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile,
    TopologySpreadConstraint, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::{container, credentials, metadata, plugins, some, some_list, volumes};
use crate::cluster::{AUDIT_CLAIM, CLUSTER_LABEL, Cluster, DATA_CLAIM};
use crate::live::{Live, MADE_FOR, TEMPLATE_HASH};
use crate::operation::Operation;
use crate::version::Feature;

/// Annotation with the hash of `config.hcl`.
pub const CONFIG_HASH: &str = "openbao.org/config-hash";
/// Annotation with the hash of the nodes' certificate, before OpenBao 2.7.
pub const TLS_HASH: &str = "openbao.org/tls-hash";
/// Annotation with the hash of the edge certificate, before OpenBao 2.7.
pub const EDGE_HASH: &str = "openbao.org/tls-edge-hash";

/// The user and group of the image.
const USER: i64 = 100;
const GROUP: i64 = 1000;

pub(super) fn stateful_set(cluster: &Cluster, template: Template, live: &Live, operation: &Operation) -> StatefulSet {
    let spec = cluster.spec;
    let Template { spec_of_pods, hash } = template;
    let mut meta = metadata(cluster, cluster.name);
    meta.annotations = Some([(TEMPLATE_HASH.to_owned(), hash)].into());
    let mut claims = vec![claim(cluster, DATA_CLAIM, &spec.storage, live)];
    if let Some(storage) = &spec.audit_storage {
        claims.push(claim(cluster, AUDIT_CLAIM, storage, live));
    }
    StatefulSet {
        metadata: meta,
        spec: Some(StatefulSetSpec {
            service_name: Some(cluster.name.to_owned()),
            replicas: Some(operation.replicas),
            // One after the other would wait for a first node that waits for the others.
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateStatefulSetStrategy {
                    partition: Some(operation.partition),
                    ..RollingUpdateStatefulSetStrategy::default()
                }),
            }),
            revision_history_limit: Some(10),
            selector: LabelSelector { match_labels: Some(cluster.selector()), ..LabelSelector::default() },
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(
                    match spec.deletion_policy {
                        DeletionPolicy::Retain => "Retain",
                        DeletionPolicy::DeletePVCs | DeletionPolicy::DeleteAll => "Delete",
                    }
                    .to_owned(),
                ),
                // Whoever scales by hand must not lose data; volumes of nodes that Raft has let go are deleted by name.
                when_scaled: Some("Retain".to_owned()),
            }),
            volume_claim_templates: Some(claims),
            template: spec_of_pods,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The pods' template as it is rendered, whatever is under way, and its hash: by it a template that changes is told from one that is being rolled out.
/// Hashes of Secrets are not in it, they are filled in later; one that changes is a new revision all the same.
pub struct Template {
    spec_of_pods: PodTemplateSpec,
    /// The hash.
    pub hash: String,
}

/// Renders the template.
pub fn template(cluster: &Cluster, config: &str) -> Result<Template, Failure> {
    let spec_of_pods = pod_template(cluster, config)?;
    let json = serde_json::to_value(&spec_of_pods)
        .map_err(|error| Failure::internal("UnserialisableTemplate", format!("the pod template does not serialise to JSON: {error}")))?;
    Ok(Template { spec_of_pods, hash: crate::digest::hex(&canonical(&json)) })
}

fn pod_template(cluster: &Cluster, config: &str) -> Result<PodTemplateSpec, Failure> {
    let Wishes {
        // The container's.
        resources: _,
        node_selector,
        affinity,
        tolerations,
        topology_spread_constraints,
        priority_class_name,
        labels,
        annotations,
    } = &cluster.spec.pod;
    let mut container = container::container(cluster)?;
    let mounted = volumes::of(cluster)?;
    container.volume_mounts = Some(mounted.mounts);
    Ok(PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels(cluster, labels)?),
            annotations: Some(pod_annotations(cluster, annotations, config)?),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(cluster.name.to_owned()),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(60),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(GROUP),
                fs_group: Some(GROUP),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
                ..PodSecurityContext::default()
            }),
            image_pull_secrets: some_list(&cluster.spec.image_pull_secrets),
            node_selector: some(node_selector.clone()),
            affinity: affinity.clone(),
            tolerations: some_list(tolerations),
            topology_spread_constraints: Some(if topology_spread_constraints.is_empty() {
                vec![spread(cluster)]
            } else {
                topology_spread_constraints.clone()
            }),
            priority_class_name: priority_class_name.clone(),
            init_containers: Some(plugins::init_containers(cluster)).filter(|containers| !containers.is_empty()),
            containers: vec![container],
            volumes: Some(mounted.volumes),
            ..PodSpec::default()
        }),
    })
}

/// What was asked for, then what the provider needs, then ours; ours cannot be taken away, or Services would lose the pods.
fn pod_labels(cluster: &Cluster, asked: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Failure> {
    let ours = cluster.labels();
    let reserved = |key: &str| ours.contains_key(key) || key.starts_with("openbao-") || key.starts_with("openbao.org/");
    if let Some(key) = asked.keys().find(|key| reserved(key)) {
        return Err(Failure::invalid(
            format!("spec.pod.labels.{key}"),
            format!("`{key}` is set by the operator or by OpenBao itself: leave it out"),
        ));
    }
    if let Some(pair) = cluster.seal.pod_labels.iter().find(|pair| reserved(&pair.key)) {
        return Err(Failure::invalid(
            "spec.unseal",
            format!("the unseal provider sets the label `{}`, which is not its own: it must leave it alone", pair.key),
        )
        .because("UnusableSealLabels"));
    }
    let mut labels = asked.clone();
    labels.extend(cluster.seal.pod_labels.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
    labels.extend(ours);
    Ok(labels)
}

fn pod_annotations(cluster: &Cluster, asked: &BTreeMap<String, String>, config: &str) -> Result<BTreeMap<String, String>, Failure> {
    if let Some(key) = asked.keys().find(|key| key.starts_with("openbao.org/")) {
        return Err(Failure::invalid(format!("spec.pod.annotations.{key}"), format!("`{key}` is the operator's: leave it out")));
    }
    let mut annotations = asked.clone();
    // The writer gives the same text for the same body, so the text's hash changes exactly with its meaning.
    annotations.insert(CONFIG_HASH.to_owned(), crate::digest::hex(config));
    if !cluster.version.has(Feature::TlsAutoReload) {
        annotations.insert(TLS_HASH.to_owned(), SecretHash::of_key(cluster.server_secret(), "tls.crt").to_string());
        if let Some(edge) = cluster.edge_secret() {
            annotations.insert(EDGE_HASH.to_owned(), SecretHash::of_key(edge, "tls.crt").to_string());
        }
    }
    annotations.extend(credentials::hashes(cluster.seal));
    Ok(annotations)
}

fn spread(cluster: &Cluster) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        // Three nodes on one host are better than one node.
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some([(CLUSTER_LABEL.to_owned(), cluster.name.to_owned())].into()),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    }
}

/// A claim's template cannot change, so what is there is asked for again; that it differs is told by a condition.
fn claim(cluster: &Cluster, name: &str, storage: &StorageSpec, live: &Live) -> PersistentVolumeClaim {
    let size = live.claim_size(name).unwrap_or(&storage.size);
    let made_for = live.made_for.as_ref().filter(|_| name == DATA_CLAIM);
    let annotations = made_for.map(|uid| [(MADE_FOR.to_owned(), uid.clone())].into());
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(cluster.selector()), annotations, ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.storage_class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(size.to_owned()))].into()),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
