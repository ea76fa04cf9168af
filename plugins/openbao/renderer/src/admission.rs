//! Judges writes of clusters: what the component would refuse is refused at the write, and so is what cannot be taken back once it is stored.
//!
//! Nothing here keeps a cluster that is stored already from being written: only a spec that changes is judged, and what was wrong before may stay wrong.

use banhbaoring_openbao_api::{DeletionPolicy, GROUP_KIND, OpenBaoClusterSpec, TlsMode};
use banhbaoring_sdk::prelude::*;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::objects;
use crate::plugin_config::PluginConfig;
use crate::prepared::Prepared;
use crate::version::ServerVersion;

/// Longest warning, in bytes: `kubectl` shows each on a line of its own.
const WARNING: usize = 120;

/// Has to hold for every operation, and for objects that a later version of the kind stored.
const PROTECTION_RULE: &str = "request.operation != 'DELETE' || !has(oldObject.spec) || !has(oldObject.spec.deletionProtection) || !oldObject.spec.deletionProtection";
const PROTECTED: &str = "expected false, found true: nobody can delete this cluster; set spec.deletionProtection to false, then delete it";
const PROTECTION_FIELD: &str = "spec.deletionProtection";

/// What a deletion takes along is what the live objects say, and the spec may not have reached them. Where both are of known words; a status without it is of an
/// older operator, and one that is being deleted already has lost what it loses.
const KEPT_RULE: &str = "request.operation != 'DELETE' || has(oldObject.metadata.deletionTimestamp) || !has(oldObject.spec) || !has(oldObject.status) || \
     !has(oldObject.status.deletionPolicy) || !(oldObject.status.deletionPolicy == 'DeleteAll' ? \
     (!has(oldObject.spec.deletionPolicy) || oldObject.spec.deletionPolicy in ['Retain', 'DeletePVCs']) : \
     (oldObject.status.deletionPolicy == 'DeletePVCs' && (!has(oldObject.spec.deletionPolicy) || oldObject.spec.deletionPolicy == 'Retain')))";
const KEPT_FIELD: &str = "spec.deletionPolicy";
const KEPT_EXPECTED: &str = "expected in status.deletionPolicy what the spec says, found one that deletes more";
const KEPT_NEXT: &str = "what the spec keeps would be deleted now, because the spec has not reached the objects. Wait until status.deletionPolicy is the same; a \
     paused cluster has to go on first, and a refused spec to be mended. While the operator is down: kubectl patch statefulset <name> --type=merge -p \
     '{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Retain\"}}}', and once that is so, kubectl patch openbaocluster <name> --subresource=status \
     --type=merge -p '{\"status\":{\"deletionPolicy\":\"Retain\"}}'; where it was DeleteAll, see docs/cluster-users.md first. If it may all go, set spec.deletionPolicy to \
     what status.deletionPolicy is";

/// Writes of an `OpenBaoCluster`.
pub struct ClusterAdmission;

/// What is judged of a cluster. Not the kind's own type: a status that another version wrote must not keep anybody from writing.
#[derive(serde::Deserialize)]
pub struct Written {
    spec: OpenBaoClusterSpec,
}

impl Admission for ClusterAdmission {
    const KIND: &'static str = GROUP_KIND;
    type Object = Written;

    fn describe() -> AdmissionDescriptor {
        AdmissionDescriptor::on(&[Operation::Create, Operation::Update, Operation::Delete])
            .validation(PROTECTION_RULE, format!("{PROTECTION_FIELD}: {PROTECTED}"))
            .validation(KEPT_RULE, format!("{KEPT_FIELD}: {KEPT_EXPECTED}: {KEPT_NEXT}"))
    }

    fn review(cx: &ReviewContext<Self>) -> Result<Verdict, Failure> {
        if cx.operation() == Operation::Delete {
            return deletion(cx.old_value());
        }
        if cx.is_deleting() || !cx.changes("/spec") {
            return Ok(Verdict::allowed());
        }
        if cx.operation() == Operation::Update && cx.changes("/spec/version") {
            still_readable(cx)?;
        }
        judged(cx).map(|spec| warned(cx, &spec)).or_else(|refusal| {
            // Who changes another field, to pause a cluster or to lift its protection, need not mend this one first.
            let was_refused = cx.before().and_then(|before| judged(&before).err()).is_some_and(|before| before == refusal);
            if !was_refused {
                return Err(refusal);
            }
            let field = refusal.field.unwrap_or_default();
            Ok(Verdict::allowed().warn(shortened(format!("not served, as before: {field}: {}", refusal.message))))
        })
    }
}

/// The spec, if the component would render it.
fn judged(cx: &ReviewContext<ClusterAdmission>) -> Result<OpenBaoClusterSpec, Failure> {
    let Written { spec } = cx.object()?;
    // A config of the plugin that does not fit is nothing that a writer can mend, and nothing here depends on it.
    let config = cx.plugin_config::<Option<PluginConfig>>().ok().flatten().unwrap_or_default();
    let seal = unknown_seal();
    let version = ServerVersion::parse(&spec.version)?;
    let (name, namespace, platform) = (cx.name(), cx.namespace(), cx.platform());
    let cluster = Cluster { name, namespace, spec: &spec, version, image: "", seal: &seal, platform, config: &config };
    let was_initialized = cx.old_value().pointer("/status/initialized") == Some(&Value::Bool(true));
    Prepared::of(&cluster, was_initialized)?;
    Ok(spec)
}

/// Stands for what the unseal provider has not been asked yet. Of this stanza no version is said to bring it or to have moved it out, and it asks for nothing
/// that could meet anything of the spec: what depends on the provider's answer is left to the component.
fn unknown_seal() -> Seal {
    Seal::stanza("unknown")
}

/// OpenBao reads what an older version wrote, not the other way round.
fn still_readable(cx: &ReviewContext<ClusterAdmission>) -> Result<(), Failure> {
    let asked = cx.value().pointer("/spec/version").and_then(Value::as_str).unwrap_or_default();
    let (Ok(wanted), Some((told, writes))) = (ServerVersion::parse(asked), written_by(cx.old_value())) else { return Ok(()) };
    if wanted >= writes {
        return Ok(());
    }
    Err(Failure::invalid(
        "spec.version",
        format!(
            "expected {writes} or newer, found {asked}: {told} writes the store, and an older minor version need not be able to read that; restore a snapshot from before into a new cluster"
        ),
    ))
}

/// The version that writes the store: the leader's. Without one the oldest that an open node tells, since the leader is restarted last. What was rendered is
/// no answer, and neither is what a sealed node runs: a version that never led has written nothing, and going back from it is how a stuck upgrade ends.
fn written_by(cluster: &Value) -> Option<(&str, ServerVersion)> {
    let says = |of: &Value, what: &str, answer: bool| of.get(what) == Some(&Value::Bool(answer));
    let status = cluster.get("status")?;
    if says(status, "initialized", false) {
        return None;
    }
    let members = status.get("members")?.as_array()?;
    let leader = members.iter().find(|member| says(member, "active", true));
    let open = || members.iter().filter(|member| !says(member, "sealed", true)).filter_map(told).min_by_key(|(_, version)| *version);
    leader.and_then(told).or_else(open)
}

fn told(member: &Value) -> Option<(&str, ServerVersion)> {
    let text = member.get("version")?.as_str()?;
    Some((text, ServerVersion::parse(text).ok()?))
}

/// Read leniently, since this is how policies of the API server read it.
fn deletion(cluster: &Value) -> Result<Verdict, Failure> {
    if cluster.pointer("/spec/deletionProtection") == Some(&Value::Bool(true)) {
        return Err(Failure::invalid(PROTECTION_FIELD, PROTECTED));
    }
    let policy = kept_by_now(cluster)?;
    Ok(Verdict::allowed().warn(match policy {
        "DeleteAll" => "deletionPolicy DeleteAll: its volumes and its certificate authority are deleted; a generated unseal key stays",
        "DeletePVCs" => "deletionPolicy DeletePVCs: its volumes are deleted; its certificate authority and a generated unseal key stay",
        _ => "deletionPolicy Retain: its volumes, its certificate authority and a generated unseal key stay",
    }))
}

/// The policy of the spec, unless more would go than it says: see [`KEPT_RULE`].
fn kept_by_now(cluster: &Value) -> Result<&str, Failure> {
    let policy = match cluster.pointer("/spec/deletionPolicy") {
        None | Some(Value::Null) => "Retain",
        Some(policy) => policy.as_str().unwrap_or_default(),
    };
    let is_deleting = cluster.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let in_force = cluster.pointer("/status/deletionPolicy").and_then(Value::as_str).unwrap_or_default();
    let loses = matches!((policy, in_force), ("Retain", "DeletePVCs") | ("Retain" | "DeletePVCs", "DeleteAll"));
    if !loses || is_deleting || cluster.get("spec").is_none_or(Value::is_null) {
        return Ok(policy);
    }
    Err(Failure::invalid(KEPT_FIELD, format!("expected {policy} in status.deletionPolicy, found {in_force}: {KEPT_NEXT}")))
}

fn warned(cx: &ReviewContext<ClusterAdmission>, spec: &OpenBaoClusterSpec) -> Verdict {
    let mut verdict = Verdict::allowed();
    if spec.deletion_policy == DeletionPolicy::DeleteAll && cx.changes("/spec/deletionPolicy") {
        verdict = verdict.warn("deletionPolicy DeleteAll: deleting this cluster deletes its volumes and its certificate authority");
    }
    if cx.operation() == Operation::Create && spec.unseal.provider == "static" && spec.unseal.fields.current_key.is_none() {
        verdict = verdict.warn("the unseal key will lie in a Secret of this namespace: keep a copy of it outside of the cluster");
    }
    let is_news = cx.changes("/spec/tls/mode");
    if is_news && spec.tls.mode == TlsMode::CertManager && !objects::edge_api_is_served(cx.platform()) {
        verdict = verdict.warn("tls.mode CertManager: cert-manager is not installed; the cluster waits for it");
    }
    verdict
}

fn shortened(mut text: String) -> String {
    if text.len() > WARNING {
        let end = (0..=WARNING - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}
