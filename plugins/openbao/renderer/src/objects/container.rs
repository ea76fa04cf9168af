//! The container: command, environment, security. What differs between nodes is in the environment, and a variable is defined before
//! another one refers to it.

use std::collections::BTreeMap;

use banhbaoring_sdk::Failure;
use banhbaoring_sdk::wit::{EnvValue, EnvVar as SealEnv};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector, SecurityContext,
};

use super::probe;
use crate::access;
use crate::cluster::{API_PORT, CLUSTER_PORT, Cluster, EDGE_PORT};
use crate::config::CONFIG_FILE;
use crate::initialization::{INIT_DIR, INIT_FILE, PASSWORD_VARIABLE, is_by_itself};

/// Variables that are set here and by nobody else.
pub const ENV_OF_OURS: [&str; 8] = [
    "BAO_K8S_POD_NAME",
    "BAO_K8S_NAMESPACE",
    "BAO_RAFT_NODE_ID",
    "BAO_API_ADDR",
    "BAO_CLUSTER_ADDR",
    "HOME",
    PASSWORD_VARIABLE,
    access::PASSWORD_VARIABLE,
];

pub(super) fn container(cluster: &Cluster) -> Result<Container, Failure> {
    let mut ports = vec![port("https", API_PORT), port("https-internal", CLUSTER_PORT)];
    if cluster.has_edge() {
        ports.push(port("https-edge", EDGE_PORT));
    }
    Ok(Container {
        name: "openbao".to_owned(),
        image: Some(cluster.image.to_owned()),
        // The image's own entry point starts as root and changes owners; what it writes is left to everybody.
        command: Some(vec!["/bin/sh".to_owned(), "-ec".to_owned(), command(is_by_itself(cluster)?)]),
        env: Some(environment(cluster)?),
        ports: Some(ports),
        resources: cluster.spec.pod.resources.clone(),
        readiness_probe: Some(probe::readiness()),
        liveness_probe: Some(probe::liveness()),
        startup_probe: Some(probe::startup()),
        lifecycle: Some(probe::lifecycle()),
        security_context: Some(restricted()),
        // Why a node ended is then known from its pod, without a right to read logs.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    })
}

/// What every container of a node may: nothing.
pub(super) fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        ..SecurityContext::default()
    }
}

/// All nodes share one template; only the first one may have the blocks that initialise the store, and only its process gets the passwords.
fn command(initialises: bool) -> String {
    if initialises {
        let forget = format!("unset {PASSWORD_VARIABLE} {}", access::PASSWORD_VARIABLE);
        let chosen = format!("init=; case \"$BAO_K8S_POD_NAME\" in *-0) init=-config={INIT_DIR}/{INIT_FILE};; *) {forget};; esac");
        format!("umask 0077; {chosen}; exec bao server -config={CONFIG_FILE} $init")
    } else {
        format!("umask 0077; exec bao server -config={CONFIG_FILE}")
    }
}

fn environment(cluster: &Cluster) -> Result<Vec<EnvVar>, Failure> {
    let Cluster { name, namespace, .. } = cluster;
    let address = |port| format!("https://$(BAO_K8S_POD_NAME).{name}.{namespace}.svc:{port}");
    let mut variables = vec![
        from_field("BAO_K8S_POD_NAME", "metadata.name"),
        from_field("BAO_K8S_NAMESPACE", "metadata.namespace"),
        from_field("BAO_RAFT_NODE_ID", "metadata.name"),
        literal("BAO_API_ADDR", address(API_PORT)),
        literal("BAO_CLUSTER_ADDR", address(CLUSTER_PORT)),
        // The user of the image has a home that is read-only.
        literal("HOME", "/tmp".to_owned()),
    ];
    if is_by_itself(cluster)? {
        variables.push(from_secret(PASSWORD_VARIABLE, &cluster.admin_secret(), "password", Some(true)));
        variables.push(from_secret(access::PASSWORD_VARIABLE, &cluster.operator_secret(), "password", Some(true)));
    }
    let mut seen: BTreeMap<&str, &EnvValue> = BTreeMap::new();
    for SealEnv { name, value } in &cluster.seal.env {
        if ENV_OF_OURS.contains(&name.as_str()) {
            return Err(Failure::invalid(
                "spec.unseal",
                format!("the unseal provider sets `{name}`, which is set already: it must leave it alone"),
            )
            .because("UnusableSealEnvironment"));
        }
        match seen.insert(name, value) {
            None => variables.push(seal_variable(name, value)),
            Some(before) if before == value => {}
            Some(_) => {
                return Err(Failure::invalid(
                    "spec.unseal",
                    format!("the unseal provider sets `{name}` twice to different values; expected one"),
                )
                .because("UnusableSealEnvironment"));
            }
        }
    }
    Ok(variables)
}

fn seal_variable(name: &str, value: &EnvValue) -> EnvVar {
    match value {
        // Kubernetes would read `$(X)` as a reference and `$$` as one dollar; a provider's text is text.
        EnvValue::Literal(text) => literal(name, text.replace('$', "$$")),
        EnvValue::SecretKey(of) => from_secret(name, &of.secret, &of.key, None),
    }
}

fn from_secret(name: &str, secret: &str, key: &str, optional: Option<bool>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn literal(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), ..EnvVar::default() }
}

fn from_field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: port, protocol: Some("TCP".to_owned()), ..ContainerPort::default() }
}
