//! The operator's own way into the store: the user `operator` of `userpass`, what it may, and the requests that are sent as it. What they are sent for is
//! decided in [`crate::rollout`] and [`crate::scale`].
//!
//! Userpass and not the methods for Kubernetes: `kubernetes` needs an account that may review tokens of the whole cluster, the store's or the plugin's, and
//! `jwt` needs the API server's keys, which it does not show without a login. A password needs neither, and opens nothing but this one store.
//!
//! Seen on a real bao 2.4.0:
//! - `sys/step-down` needs `update` and `sudo`; one of the two is refused. It takes no body and is answered 204.
//! - A standby hands `sys/step-down` on, so it is only ever sent to a node that says that it leads.
//! - Who stepped down does not lead again within ten seconds; another node leads within one.
//! - `remove-peer` of a peer that is not there is answered 204 as well, so what is true is asked of the configuration.
//! - Everything below `sys/plugins/catalog` needs `sudo`, reading as well. A plugin that is not there is answered 404, one that the policy does not name 403.
//! - A batch token is stored nowhere, so logging in leaves nothing behind; it is worth the policy and nothing else.

use std::collections::BTreeSet;

use banhbaoring_openbao_api::CatalogPlugin;
use banhbaoring_sdk::contract::action;
use banhbaoring_sdk::contract::generator::{Password, Template};
use banhbaoring_sdk::contract::http::{
    Credential, Destination, Endpoint, Injection, InjectionSource, Login, Method, Scheme, ServiceDestination, Tls, TrustRoot,
};
use banhbaoring_sdk::contract::need;
use banhbaoring_sdk::contract::reference::{ConfigMapKeyRef, SecretKeyRef};
use banhbaoring_sdk::{Action, GeneratedSecret, Need};
use serde_json::{Value, json};

use crate::cluster::{API_PORT, Cluster};

/// The user, and its policy.
pub const OPERATOR: &str = "operator";
/// The variable with its password, which only the first node reads, and only to initialise the store.
pub const PASSWORD_VARIABLE: &str = "INITIAL_OPERATOR_PASSWORD";

/// Who leads, as a node itself says.
pub const LEADER: &str = "/v1/sys/leader";
/// Who Raft counts.
pub const CONFIGURATION: &str = "/v1/sys/storage/raft/configuration";
/// How many nodes Raft can lose.
pub const AUTOPILOT: &str = "/v1/sys/storage/raft/autopilot/state";
/// Makes a node give up the lead.
pub const STEP_DOWN: &str = "/v1/sys/step-down";
/// Makes Raft stop counting a node.
pub const REMOVE_PEER: &str = "/v1/sys/storage/raft/remove-peer";
/// What each plugin of the catalogue stands below, by type and name.
pub const PLUGIN_CATALOG: &str = "/v1/sys/plugins/catalog/";
/// Header with a token of the store.
pub const TOKEN_HEADER: &str = "X-Vault-Token";
/// Where the user logs in.
pub const LOGIN: &str = "/v1/auth/userpass/login/operator";

/// Parts of answers that are read.
pub const IS_SELF: &str = "/is_self";
/// Since when a node leads: tells one time of leading from the next.
pub const ACTIVE_TIME: &str = "/active_time";
/// The peers.
pub const SERVERS: &str = "/data/config/servers";
/// The checksum of a plugin in the catalogue.
pub const PLUGIN_SHA256: &str = "/data/sha256";
/// Its command.
pub const PLUGIN_COMMAND: &str = "/data/command";
/// Its arguments. The environment is not shown.
pub const PLUGIN_ARGS: &str = "/data/args";
/// Why a request was refused.
pub const REFUSAL: &str = "/errors/0";
/// How many voters may fail. The rest of autopilot's state changes with every heartbeat.
pub const TOLERANCE: &str = "/data/failure_tolerance";

/// Statuses that say "not now": no node leads, or the one that was asked is sealed. It may be otherwise at the next look.
pub const NOT_NOW: [u16; 7] = [429, 472, 473, 500, 502, 503, 504];

const TOKEN_TTL: &str = "20m";
const TIMEOUT: u32 = 10;

/// Least that day 2 needs. Only peers that are named as this cluster's pods can be removed, and only plugins that the spec names can be registered.
pub fn policy(cluster: &Cluster) -> String {
    let rule = |path: &str, capabilities: &str| format!("path \"{path}\" {{ capabilities = [{capabilities}] }}\n");
    let read = [CONFIGURATION, AUTOPILOT].map(|path| rule(path.trim_start_matches("/v1/"), "\"read\"")).concat();
    // Versions of one plugin share a path.
    let plugins: BTreeSet<String> = cluster.spec.plugin_catalog.iter().map(plugin_rule).collect();
    let plugins: String = plugins.into_iter().map(|rule| format!("{rule}\n")).collect();
    format!(
        "{read}{}path \"{}\" {{\n  capabilities = [\"update\"]\n  allowed_parameters = {{ \"server_id\" = [\"{}-*\"] }}\n}}\n{plugins}",
        rule(STEP_DOWN.trim_start_matches("/v1/"), "\"update\", \"sudo\""),
        REMOVE_PEER.trim_start_matches("/v1/"),
        cluster.name
    )
}

/// The line of the policy by which a plugin can be asked for and registered.
pub fn plugin_rule(plugin: &CatalogPlugin) -> String {
    format!("path \"{}\" {{ capabilities = [\"read\", \"update\", \"sudo\"] }}", plugin_path(plugin).trim_start_matches("/v1/"))
}

/// What the user is, without its password.
pub fn user() -> Value {
    json!({"token_policies": [OPERATOR], "token_no_default_policy": true, "token_type": "batch", "token_ttl": TOKEN_TTL})
}

/// How somebody who may do everything lets the operator in.
pub fn by_hand(cluster: &Cluster) -> String {
    let Cluster { namespace, .. } = cluster;
    let secret = cluster.operator_secret();
    format!(
        "log in as who may write policies, then: bao auth enable userpass (where it is not); printf '%s' '{}' | bao policy write {OPERATOR} -; \
         bao write auth/userpass/users/{OPERATOR} token_policies={OPERATOR} token_no_default_policy=true token_type=batch token_ttl={TOKEN_TTL} \
         password=\"$(kubectl get secret {secret} -n {namespace} -o jsonpath='{{.data.password}}' | base64 -d)\"; see docs/runbooks/operator-access.md",
        policy(cluster).replace('\n', " ").trim_end()
    )
}

/// Name and password of the user: made once. Unlike the admin's it is needed as long as the cluster is there.
pub fn secret(cluster: &Cluster) -> GeneratedSecret {
    let name = Template { template: OPERATOR.to_owned(), values: Default::default(), secrets: Default::default() };
    let secret = GeneratedSecret::identity(cluster.operator_secret())
        .entry("username", &name)
        .entry("password", &Password::alphanumeric(32))
        // Nothing but this store knows it, and whoever administers the store can set another.
        .keep(false);
    cluster.labels().into_iter().fold(secret, |secret, (key, value)| secret.label(key, value))
}

/// Asks a node whether it leads, and since when. No login: everybody may ask that.
pub fn ask_leader(cluster: &Cluster, id: &str, ordinal: i32, seconds: u32) -> Need {
    let endpoint = Endpoint { credential: None, ..endpoint(cluster, node(cluster, ordinal), LEADER, &[IS_SELF, ACTIVE_TIME]) };
    Need::poll(id, seconds, &need::Http { endpoint })
}

/// Asks the node that leads who the peers are.
pub fn ask_configuration(cluster: &Cluster, id: &str, seconds: u32) -> Need {
    Need::poll(id, seconds, &need::Http { endpoint: endpoint(cluster, active(cluster), CONFIGURATION, &[SERVERS]) })
}

/// Asks the node that leads how many nodes may fail.
pub fn ask_tolerance(cluster: &Cluster, id: &str, seconds: u32) -> Need {
    Need::poll(id, seconds, &need::Http { endpoint: endpoint(cluster, active(cluster), AUTOPILOT, &[TOLERANCE]) })
}

/// Tells a node to give up the lead.
pub fn step_down(cluster: &Cluster, id: &str, ordinal: i32) -> Action {
    let endpoint = endpoint(cluster, node(cluster, ordinal), STEP_DOWN, &[]);
    Action::new(id, &action::Http { endpoint, method: Method::Put, body: Value::Null, capture: Vec::new() })
}

/// Tells the node that leads that a peer does not count any more.
pub fn remove_peer(cluster: &Cluster, id: &str, peer: &str) -> Action {
    let endpoint = endpoint(cluster, active(cluster), REMOVE_PEER, &[]);
    Action::new(id, &action::Http { endpoint, method: Method::Put, body: json!({"server_id": peer}), capture: Vec::new() })
}

/// Asks the node that leads what its catalogue says of a plugin.
pub fn ask_plugin(cluster: &Cluster, id: &str, plugin: &CatalogPlugin, seconds: u32) -> Need {
    let shown = [PLUGIN_SHA256, PLUGIN_COMMAND, PLUGIN_ARGS];
    let mut endpoint = endpoint(cluster, active(cluster), &plugin_path(plugin), &shown);
    endpoint.query.insert("version".to_owned(), plugin.version.clone());
    Need::poll(id, seconds, &need::Http { endpoint })
}

/// Registers a plugin with the node that leads, or puts back what the catalogue says of it.
pub fn register_plugin(cluster: &Cluster, id: &str, plugin: &CatalogPlugin) -> Action {
    let CatalogPlugin { kind: _, name: _, version, sha256, command, args, env, image: _, path: _ } = plugin;
    let env: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = json!({"version": version, "sha256": sha256.to_ascii_lowercase(), "command": command, "args": args, "env": env});
    let endpoint = endpoint(cluster, active(cluster), &plugin_path(plugin), &[REFUSAL]);
    Action::new(id, &action::Http { endpoint, method: Method::Put, body, capture: Vec::new() })
}

fn plugin_path(plugin: &CatalogPlugin) -> String {
    format!("{PLUGIN_CATALOG}{}/{}", plugin.kind, plugin.name)
}

fn active(cluster: &Cluster) -> ServiceDestination {
    ServiceDestination { name: cluster.active_service(), namespace: None, port: port(), hostname: None }
}

pub(crate) fn node(cluster: &Cluster, ordinal: i32) -> ServiceDestination {
    ServiceDestination { name: cluster.name.to_owned(), namespace: None, port: port(), hostname: Some(cluster.pod(ordinal)) }
}

fn port() -> u16 {
    u16::try_from(API_PORT).unwrap_or_default()
}

pub(crate) fn endpoint(cluster: &Cluster, service: ServiceDestination, path: &str, expose: &[&str]) -> Endpoint {
    let ca = ConfigMapKeyRef { config_map: cluster.ca_config_map(), key: "ca.crt".to_owned() };
    Endpoint {
        destination: Destination::Service(service),
        scheme: Scheme::Https,
        path: path.to_owned(),
        query: Default::default(),
        headers: Default::default(),
        tls: Some(Tls { ca: Some(TrustRoot::ConfigMap(ca)), server_name: Some(cluster.server_name()) }),
        credential: Some(Credential::Login(Box::new(login(cluster)))),
        inject: Vec::new(),
        expose: expose.iter().map(|pointer| (*pointer).to_owned()).collect(),
        timeout_seconds: Some(TIMEOUT),
    }
}

fn login(cluster: &Cluster) -> Login {
    let password = SecretKeyRef::new(cluster.operator_secret(), "password");
    Login {
        path: LOGIN.to_owned(),
        method: Method::Post,
        body: json!({}),
        inject: vec![Injection { pointer: "/body/password".to_owned(), from: InjectionSource::Secret(password), prefix: String::new() }],
        token_pointer: "/auth/client_token".to_owned(),
        lease_pointer: Some("/auth/lease_duration".to_owned()),
        header: TOKEN_HEADER.to_owned(),
        prefix: String::new(),
    }
}
