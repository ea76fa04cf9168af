//! The first initialisation, by the first node itself: neither root token nor recovery keys ever leave it. What the file holds and when it is empty is
//! decided here; where it is mounted is [`crate::objects`]'s.
//!
//! Seen on a real bao 2.4.0:
//! - Only one node may have the blocks: they break `retry_join` (openbao#2274).
//! - The token that the requests are sent with stays valid for ever: it is revoked by the last request.
//! - A request that fails ends the server; the store stays initialised, and what stands after it is never done. So what people get in by is first.
//! - In the file's JSON a list of exactly one object is read as that object, and null as an empty text.

use banhbaoring_openbao_api::{InitializationMode, InitializationOperation, InitializationRequest, InitializationStep};
use banhbaoring_sdk::contract::generator::{Password, Template};
use banhbaoring_sdk::{Failure, GeneratedSecret};
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::live::Live;
use crate::version::Feature;
use crate::{access, captured};

/// Where the file lies in the container.
pub const INIT_DIR: &str = "/etc/bao/init";
/// Name of the file, also its key in the ConfigMap.
pub const INIT_FILE: &str = "init.json";
/// The variable with the first password of `admin`.
pub const PASSWORD_VARIABLE: &str = "INITIAL_ADMIN_PASSWORD";

/// A ConfigMap holds 1 MiB, with its metadata.
const MAX_FILE: usize = 900 * 1024;
/// Deepest nesting of a request's data.
const MAX_DEPTH: usize = 16;
/// What `admin` may: everything.
pub(crate) const ADMIN_POLICY: &str = r#"path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }"#;

/// Whether the first node initialises the store.
pub fn is_by_itself(cluster: &Cluster) -> Result<bool, Failure> {
    match cluster.spec.initialization.mode {
        Some(InitializationMode::Manual | InitializationMode::Captured) => Ok(false),
        None if !cluster.version.has(Feature::SelfInitialization) && cluster.spec.initialization.requests.is_empty() => Ok(false),
        Some(InitializationMode::SelfInit) | None => {
            cluster.version.require(
                Feature::SelfInitialization,
                "spec.initialization",
                "set spec.initialization.mode: Captured or Manual",
            )?;
            Ok(true)
        }
    }
}

/// Whether users are made in the store without anybody's hand, so that it has to let the operator in.
pub fn makes_users(cluster: &Cluster, live: &Live) -> Result<bool, Failure> {
    let is_ours = live.told_initialization.as_ref().is_none_or(|told| told.step != InitializationStep::Foreign);
    Ok(is_by_itself(cluster)? || (captured::is_asked_for(cluster) && is_ours && (live.is_opening || live.told_initialization.is_some())))
}

/// The file of the first node. Once the store was initialised it says nothing: a first node that lost its volume has to join the others, not to begin a
/// store of its own.
pub fn file(cluster: &Cluster, is_initialized: bool) -> Result<String, Failure> {
    let requests = &cluster.spec.initialization.requests;
    for (index, request) in requests.iter().enumerate() {
        let data: Value = request.data.clone().into_iter().collect::<Map<_, _>>().into();
        sayable(&data, 0).map_err(|why| {
            Failure::invalid(format!("spec.initialization.requests[{index}].data"), format!("request `{}`: {why}", request.name))
        })?;
    }
    if is_initialized {
        return Ok("{}\n".to_owned());
    }
    let password = json!({"eval_type": "string", "eval_source": "env", "env_var": PASSWORD_VARIABLE});
    let admin = [
        entry("method", "update", "sys/auth/userpass", &json!({"type": "userpass"}), false),
        entry("policy", "update", "sys/policies/acl/admin", &json!({"policy": ADMIN_POLICY}), false),
        entry("user", "update", "auth/userpass/users/admin", &json!({"token_policies": ["admin"], "password": password}), false),
    ];
    let asked: Vec<Value> = requests.iter().map(asked).collect();
    let revoke = [entry("revoke", "update", "auth/token/revoke-self", &json!({}), false)];
    let mut blocks = vec![json!({"admin": {"request": admin}}), json!({"operator": {"request": operator(cluster)}})];
    if !asked.is_empty() {
        blocks.push(json!({"requests": {"request": asked}}));
    }
    blocks.push(json!({"end": {"request": revoke}}));
    let text = format!("{:#}\n", json!({"initialize": blocks}));
    if text.len() > MAX_FILE {
        return Err(Failure::invalid(
            "spec.initialization.requests",
            format!(
                "expected at most {MAX_FILE} bytes in all, found {}: a ConfigMap holds no more; send the rest yourself once the store runs",
                text.len()
            ),
        ));
    }
    Ok(text)
}

/// The first password of the user `admin`.
pub fn admin(cluster: &Cluster) -> GeneratedSecret {
    let name = Template { template: "admin".to_owned(), values: Default::default(), secrets: Default::default() };
    let secret = GeneratedSecret::identity(cluster.admin_secret())
        .entry("username", &name)
        .entry("password", &Password::alphanumeric(32))
        // Only ever the first password: nothing is lost with it.
        .keep(false);
    cluster.labels().into_iter().fold(secret, |secret, (key, value)| secret.label(key, value))
}

/// After the admin, who could make the operator's user by hand, and before what may fail.
fn operator(cluster: &Cluster) -> [Value; 2] {
    let mut user = access::user();
    user["password"] = json!({"eval_type": "string", "eval_source": "env", "env_var": access::PASSWORD_VARIABLE});
    let path = |kind: &str| format!("{kind}/{}", access::OPERATOR);
    [
        entry("policy", "update", &path("sys/policies/acl"), &json!({"policy": access::policy(cluster)}), false),
        entry("user", "update", &path("auth/userpass/users"), &user, false),
    ]
}

fn asked(request: &InitializationRequest) -> Value {
    let operation = match request.operation {
        InitializationOperation::Create => "create",
        InitializationOperation::Update => "update",
        InitializationOperation::Patch => "patch",
        InitializationOperation::Delete => "delete",
    };
    entry(&request.name, operation, &request.path, &json!(request.data), request.allow_failure)
}

fn entry(name: &str, operation: &str, path: &str, data: &Value, allow_failure: bool) -> Value {
    let mut request = json!({"operation": operation, "path": path});
    if data.as_object().is_some_and(|data| !data.is_empty()) {
        request["data"] = data.clone();
    }
    if allow_failure {
        request["allow_failure"] = json!(true);
    }
    json!({ name: request })
}

/// Whether OpenBao would read the data as it was written, and nothing else with it: `eval_…` reads the node's own files and environment, which hold the
/// unseal key and credentials that the writer of the resource may not see.
fn sayable(data: &Value, depth: usize) -> Result<(), String> {
    match data {
        _ if depth > MAX_DEPTH => Err(format!("expected at most {MAX_DEPTH} levels")),
        Value::Null => Err("null is read as an empty text; leave the field out".to_owned()),
        Value::Array(items) if items.len() == 1 && items[0].is_object() => {
            Err("a list of one object is read as that object; send this request yourself once the store runs".to_owned())
        }
        Value::Array(items) => items.iter().try_for_each(|item| sayable(item, depth + 1)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            if key.starts_with("eval_") {
                return Err(format!("`{key}` would read the node's own files and environment; it is not taken from a resource"));
            }
            sayable(value, depth + 1)
        }),
        _ => Ok(()),
    }
}
