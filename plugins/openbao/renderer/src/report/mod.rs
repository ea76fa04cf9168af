//! What there is, told: state, conditions, status, outputs, events. Nothing here changes what is rendered. What is done to the nodes is worded in
//! [`crate::told`].

mod nodes;
pub mod words;

use std::collections::BTreeMap;

use banhbaoring_openbao_api::TlsMode;
use banhbaoring_sdk::wit::{ReadinessState, SealCredentials, State};
use banhbaoring_sdk::{ConditionStatus, PlatformExt, Response};
use serde_json::{Map, Value, json};

use crate::captured::{self, Captured};
use crate::cluster::{API_PORT, Cluster};
use crate::expansion::Expansion;
use crate::image::Image;
use crate::initialization::{is_by_itself, makes_users};
use crate::live::Live;
use crate::objects::SERVICE_MONITOR_API;
use crate::operation::Operation;
use crate::plugin_catalog::PLUGINS_REGISTERED;
use crate::told;

/// The certificates are there.
pub const TLS_READY: &str = "TLSReady";
/// A provider answered how to unseal.
pub const UNSEAL_CONFIGURED: &str = "UnsealConfigured";
/// The image is signed as the spec asks.
pub const IMAGE_VERIFIED: &str = "ImageVerified";
/// The volumes have the size that the spec asks for.
pub const STORAGE_SIZED: &str = "StorageSized";
/// Somebody initialised the cluster.
pub const INITIALIZED: &str = "Initialized";
/// No node is sealed.
pub const UNSEALED: &str = "Unsealed";

/// Prometheus is told where to find the nodes. Told only where the spec asks for it.
pub const MONITORING_READY: &str = "MonitoringReady";

/// All condition types, as they are declared.
pub const CONDITION_TYPES: [&str; 12] = [
    TLS_READY,
    IMAGE_VERIFIED,
    UNSEAL_CONFIGURED,
    STORAGE_SIZED,
    INITIALIZED,
    UNSEALED,
    nodes::HAS_QUORUM,
    nodes::OPERATOR_ACCESS,
    told::UPGRADING,
    told::SCALING,
    PLUGINS_REGISTERED,
    MONITORING_READY,
];

/// How many warnings of a provider become events, and their longest message in bytes.
const MAX_WARNINGS: usize = 16;
const MAX_WARNING: usize = 1024;

/// All that is told of.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The cluster.
    pub cluster: &'a Cluster<'a>,
    /// What there is.
    pub live: &'a Live,
    /// How the operator initialises it.
    pub captured: &'a Captured,
    /// What is done to the nodes.
    pub operation: &'a Operation,
    /// What they run.
    pub image: &'a Image,
    /// What is done to their volumes.
    pub expansion: &'a Expansion,
}

/// Adds everything that is told to a response with the desired objects.
pub fn tell(response: Response, facts: &Facts, provider: &str) -> Response {
    let Facts { cluster, live, captured, operation, image, expansion } = *facts;
    let (state, reason, message) = state(facts);
    let response = response.state(state, reason, message);
    let response = conditions(response, facts, provider);
    let response = storage(response, expansion);
    let response = image_verified(response, image);
    let response = nodes::conditions(response, cluster, live, operation);
    let response = told::conditions(response, cluster, live, operation);
    let response = monitoring(response, cluster);
    let response = cluster.seal.warnings.iter().take(MAX_WARNINGS).fold(response, |response, warning| {
        let message: String = warning.chars().take(MAX_WARNING / 4).collect();
        // A key of bounded length that changes with the text, so that a new warning is told and an old one is not told again.
        response.warning(format!("seal-{}", crate::digest::hex(warning)), "UnsealProviderWarning", message)
    });
    let endpoints = endpoints(cluster);
    let retired: Vec<String> = operation.retired.iter().map(|ordinal| cluster.pod(*ordinal)).collect();
    response
        .output("endpoints", &endpoints)
        .output("caConfigMap", cluster.ca_config_map())
        .output("caConfigMapKey", "ca.crt")
        .output("serverName", cluster.server_name())
        .output("serviceAccount", cluster.name)
        .output("version", &cluster.spec.version)
        .status(&json!({
            "version": cluster.spec.version,
            "image": image.told,
            "nodes": ready_of_all(cluster, live),
            "readyNodes": live.ready_nodes(),
            "leader": live.leader(),
            "initialized": initialized(live),
            "sealed": live.sealed(),
            "initialization": captured.told,
            "operatorAccess": makes_users(cluster, live).unwrap_or(false).then(|| live.access(captured.is_let_in)).flatten(),
            "adminSecret": (live.wants_admin() && (is_by_itself(cluster).unwrap_or(false) || captured::is_asked_for(cluster))).then(|| cluster.admin_secret()),
            "operatorSecret": live.wants_operator().then(|| cluster.operator_secret()),
            // What is rendered now is in force before the status is written.
            "deletionPolicy": live.deletion_policy.max(Some(cluster.spec.deletion_policy)),
            "operation": operation.told,
            "retired": retired,
            "members": nodes::members(live),
            "endpoints": endpoints,
        }))
}

/// Adds what is told while nothing is changed: how the nodes are now, beside what was told before.
pub fn tell_held(response: Response, cluster: &Cluster, live: &Live, image: &Image, mut told: Map<String, Value>) -> Response {
    let response = image_verified(response, image);
    if live.stateful_set.is_some() {
        let now = [
            ("image", json!(image.told)),
            ("nodes", json!(ready_of_all(cluster, live))),
            ("readyNodes", json!(live.ready_nodes())),
            ("leader", json!(live.leader())),
            ("initialized", json!(initialized(live))),
            ("sealed", json!(live.sealed())),
            ("deletionPolicy", json!(live.deletion_policy)),
            ("members", json!(nodes::members(live))),
        ];
        told.extend(now.map(|(field, value)| (field.to_owned(), value)));
    }
    response.status(&told)
}

fn ready_of_all(cluster: &Cluster, live: &Live) -> String {
    format!("{}/{}", live.ready_nodes(), cluster.spec.replicas)
}

/// What was told once is not forgotten with the pods.
fn initialized(live: &Live) -> Option<bool> {
    if live.was_initialized() { Some(true) } else { live.initialized() }
}

/// What is not known is neither true nor false.
fn known(holds: Option<bool>) -> ConditionStatus {
    holds.map_or(ConditionStatus::Unknown, |holds| if holds { ConditionStatus::Yes } else { ConditionStatus::No })
}

fn image_verified(response: Response, image: &Image) -> Response {
    let Some(verdict) = &image.verdict else { return response };
    let response = response.condition(IMAGE_VERIFIED, known(verdict.holds), verdict.reason, &verdict.message);
    // Where nothing is changed the component's own state tells it, as an event too.
    if verdict.holds == Some(false) && image.name.is_some() {
        return response.warning("image", verdict.reason, &verdict.message);
    }
    response
}

fn state(facts: &Facts) -> (State, String, String) {
    let Facts { cluster, live, captured, operation, .. } = *facts;
    let told = |state, reason: &str, message: String| (state, reason.to_owned(), message);
    let Some(child) = &live.stateful_set else {
        return told(State::Progressing, "Creating", format!("the {} nodes are being made", live.wanted(cluster)));
    };
    let summary = told::summary(cluster, live, operation);
    match child.readiness {
        _ if live.has_lost_data(cluster) => told(State::Failed, words::DATA_LOST, words::data_lost(cluster)),
        _ if live.is_cut_short() => told(State::Failed, words::CUT_SHORT, words::cut_short(cluster)),
        _ if let Some(verdict) = captured.verdict.as_ref().filter(|verdict| verdict.has_failed) => {
            told(State::Failed, verdict.reason, verdict.message.clone())
        }
        _ if live.is_shut() && expects_access(facts) => {
            let message = if live.is_put_down { words::put_down(cluster) } else { words::never_let_in(cluster, live) };
            told(State::Failed, words::ACCESS_REFUSED, message)
        }
        ReadinessState::Failed => {
            told(State::Failed, if child.reason.is_empty() { "NodesFailed" } else { &child.reason }, child.message.clone())
        }
        _ if let Some(down) = nodes::quorum_lost(live).filter(|_| summary.is_none() || live.nodes.len() > 1) => {
            told(State::Failed, nodes::QUORUM_LOST, nodes::quorum_message(live, &down))
        }
        // Whether a partition leaves nodes behind is known here and not to whoever sees the StatefulSet alone.
        _ if let Some((reason, message)) = summary => told(State::Progressing, reason, message),
        ReadinessState::Progressing => told(
            State::Progressing,
            if child.reason.is_empty() { "NodesStarting" } else { &child.reason },
            format!("{} of {} nodes are ready; {}", live.ready_nodes(), cluster.spec.replicas, child.message),
        ),
        // Pods that have told nothing leave the word to the StatefulSet: a platform may keep the labels from them.
        ReadinessState::Ready if captured.verdict.is_none() && !live.was_initialized() && live.initialized() == Some(false) => {
            told(State::Progressing, "WaitingForInitialization", format!("all nodes run; {}", waits_for(cluster)))
        }
        ReadinessState::Ready if live.sealed() == Some(true) => {
            told(State::Progressing, "NodesSealed", format!("sealed: {}", names_of_sealed(live).join(", ")))
        }
        ReadinessState::Ready if let Some(verdict) = &captured.verdict => told(State::Progressing, verdict.reason, verdict.message.clone()),
        // Pods can be ready of a store that nobody gets into, and are before they tell that there is one.
        ReadinessState::Ready if makes_users(cluster, live).unwrap_or(false) && Live::is_unconfirmed(live.access(captured.is_let_in)) => {
            let message = if live.is_refused && live.is_taken_over.is_none() {
                words::refused_on_unknown_volumes(cluster)
            } else if live.was_initialized() {
                "the store is initialised; it has to let the operator in once".to_owned()
            } else {
                "no node has told yet whether it is initialised; the store has to let the operator in once".to_owned()
            };
            told(State::Progressing, "ConfirmingAccess", message)
        }
        ReadinessState::Ready => match nodes::not_ready(live).as_slice() {
            [] => told(State::Ready, "Ready", format!("{0} of {0} nodes are ready", cluster.spec.replicas)),
            starting => told(State::Progressing, "NodesStarting", format!("not ready: {}", starting.join(", "))),
        },
    }
}

/// Who has to do something before the store is initialised.
fn waits_for(cluster: &Cluster) -> String {
    if is_by_itself(cluster).unwrap_or(false) {
        format!("{} initialises the store by itself; where it does not, its log says why", cluster.pod(0))
    } else {
        format!(
            "POST /v1/sys/init once at https://{}.{}.svc:{API_PORT}, and keep what it answers: it is the only root token",
            cluster.name, cluster.namespace
        )
    }
}

/// Users are made without anybody's hand, so that the operator has to be let in.
fn expects_access(facts: &Facts) -> bool {
    let Facts { cluster, live, .. } = *facts;
    live.was_initialized() && makes_users(cluster, live).unwrap_or(false)
}

fn conditions(response: Response, facts: &Facts, provider: &str) -> Response {
    let Facts { cluster, live, captured, .. } = *facts;
    let credentials = match &cluster.seal.credentials {
        SealCredentials::Ambient => "credentials from the platform".to_owned(),
        SealCredentials::Secrets(secrets) => format!("credentials in {}", secrets.join(", ")),
    };
    let response = response.condition(
        UNSEAL_CONFIGURED,
        true,
        "ProviderAnswered",
        format!("provider {provider}, seal {}, {credentials}", cluster.seal.stanza),
    );
    let (status, reason, message) = tls(cluster, live);
    let response = response.condition(TLS_READY, status, reason, message);
    let response = match live.initialized() {
        _ if live.is_cut_short() => response.condition(INITIALIZED, false, words::CUT_SHORT, words::cut_short(cluster)),
        _ if let Some(verdict) = &captured.verdict => response.condition(INITIALIZED, false, verdict.reason, verdict.message.clone()),
        _ if live.has_lost_data(cluster) => response.condition(INITIALIZED, false, words::DATA_LOST, words::data_lost(cluster)),
        Some(true) => response.condition(INITIALIZED, true, "Initialized", "a node tells that it is initialised"),
        // Also where those that tell have empty volumes: the others may have the store, and nobody must be told to begin another.
        _ if live.was_initialized() => response.condition(INITIALIZED, true, "Initialized", "a node told so before"),
        None => response.condition(INITIALIZED, ConditionStatus::Unknown, "NotTold", "no node has told yet"),
        Some(false) => response.condition(INITIALIZED, false, "WaitingForInitialization", waits_for(cluster)),
    };
    match live.sealed() {
        None => response.condition(UNSEALED, ConditionStatus::Unknown, "NotTold", "no node has told yet"),
        Some(false) => response.condition(UNSEALED, true, "Unsealed", "no node is sealed"),
        Some(true) => response.condition(UNSEALED, false, "Sealed", format!("sealed: {}", names_of_sealed(live).join(", "))),
    }
}

fn tls(cluster: &Cluster, live: &Live) -> (ConditionStatus, &'static str, String) {
    let made = live.stateful_set.is_some();
    match cluster.spec.tls.mode {
        TlsMode::CertManager => match &live.certificate {
            Some(certificate) if certificate.readiness == ReadinessState::Ready => {
                (ConditionStatus::Yes, "Issued", format!("Certificate {} is ready", cluster.edge_certificate()))
            }
            Some(certificate) => (ConditionStatus::No, "WaitingForIssuer", certificate.message.clone()),
            None => (ConditionStatus::No, "WaitingForIssuer", format!("Certificate {} is being made", cluster.edge_certificate())),
        },
        _ if !made => (ConditionStatus::Unknown, "Creating", "certificates are made together with the nodes".to_owned()),
        TlsMode::OperatorManaged => (
            ConditionStatus::Yes,
            "Issued",
            format!("Secret {}; authority in ConfigMap {}", cluster.server_secret(), cluster.ca_config_map()),
        ),
        TlsMode::Secret => (ConditionStatus::Yes, "Provided", format!("Secret {} for clients", cluster.edge_secret().unwrap_or_default())),
        TlsMode::Acme => (ConditionStatus::Yes, "LeftToOpenBao", "OpenBao asks its ACME directory by itself".to_owned()),
    }
}

fn storage(response: Response, expansion: &Expansion) -> Response {
    response.condition(STORAGE_SIZED, known(expansion.is_done), expansion.reason, &expansion.message)
}

fn monitoring(response: Response, cluster: &Cluster) -> Response {
    let telemetry = cluster.spec.telemetry.as_ref();
    if !telemetry.and_then(|telemetry| telemetry.service_monitor.as_ref()).is_some_and(|monitor| monitor.enabled) {
        return response;
    }
    if cluster.platform.serves(SERVICE_MONITOR_API) {
        return response.condition(MONITORING_READY, true, "Applied", format!("ServiceMonitor {}", cluster.name));
    }
    response.condition(
        MONITORING_READY,
        false,
        "ApiNotServed",
        format!(
            "spec.telemetry.serviceMonitor needs the API {SERVICE_MONITOR_API}, which this cluster does not serve: install prometheus-operator, or set \
             spec.telemetry.serviceMonitor.enabled to false"
        ),
    )
}

fn endpoints(cluster: &Cluster) -> BTreeMap<&'static str, String> {
    let service = |service: &str| format!("https://{service}.{}.svc:{API_PORT}", cluster.namespace);
    let mut endpoints = BTreeMap::from([
        ("active", service(&cluster.active_service())),
        ("nodes", service(cluster.name)),
        ("public", service(&cluster.public_service())),
    ]);
    if let Some(name) = cluster.spec.tls.dns_names.iter().find(|name| !name.starts_with('*')) {
        endpoints.insert("external", format!("https://{name}"));
    }
    endpoints
}

fn names_of_sealed(live: &Live) -> Vec<&str> {
    live.pods().filter(|(_, pod)| pod.sealed == Some(true)).map(|(node, _)| node.name.as_str()).collect()
}
