//! What is asked and sent while the operator initialises a store: everything goes to the first node itself, and every credential is put in by the host. Which
//! of it is wanted when is [`super`]'s.
//!
//! Seen on a real bao 2.4.0 with auto-unseal: `sys/init` answers `root_token`, `recovery_keys_base64` and no unseal keys; a second one is answered 400. Enabling
//! a method where it is already is answered 400; everything else here can be sent twice.

use banhbaoring_openbao_api::InitializationSpec;
use banhbaoring_sdk::contract::generator::{Bytes, Encoding, Template};
use banhbaoring_sdk::contract::http::{Capture, Credential, Endpoint, Injection, InjectionSource, Method, SecretCredential};
use banhbaoring_sdk::contract::reference::SecretKeyRef;
use banhbaoring_sdk::contract::{ObjectRef, action, need};
use banhbaoring_sdk::{Action, GeneratedSecret, Need};
use serde_json::{Value, json};

use crate::access::{self, REFUSAL};
use crate::cluster::{Cluster, DATA_CLAIM};
use crate::initialization::ADMIN_POLICY;

/// Whether the store is initialised, as a node itself says; and how it is told to be.
pub const INIT: &str = "/v1/sys/init";
/// Whose token this is.
pub const LOOKUP_SELF: &str = "/v1/auth/token/lookup-self";
/// Ends the token that asks for it.
pub const REVOKE_SELF: &str = "/v1/auth/token/revoke-self";
/// Enables the method of both users.
pub const USERPASS: &str = "/v1/sys/auth/userpass";
/// What may be written with the root token, and nothing else.
pub const WRITTEN: [&str; 7] = [INIT, REVOKE_SELF, USERPASS, POLICY_ADMIN, USER_ADMIN, POLICY_OPERATOR, USER_OPERATOR];
const POLICY_ADMIN: &str = "/v1/sys/policies/acl/admin";
const USER_ADMIN: &str = "/v1/auth/userpass/users/admin";
const POLICY_OPERATOR: &str = "/v1/sys/policies/acl/operator";
/// The operator's own user.
pub const USER_OPERATOR: &str = "/v1/auth/userpass/users/operator";

/// The part of the answer that says whether the store is initialised.
pub const IS_INITIALIZED: &str = "/initialized";
/// Key of the root token in the Secret.
pub const ROOT_TOKEN: &str = "root-token";
/// Key of the recovery keys in the Secret, a JSON list.
pub const RECOVERY_KEYS: &str = "recovery-keys";

/// Ids of the questions.
pub const FIRST_INIT: &str = "first-init";
pub(super) const FIRST_CLAIM: &str = "first-claim";
pub(super) const FIRST_ROOT: &str = "first-root";
pub(super) const FIRST_ROOT_AGAIN: &str = "first-root-again";
pub(super) const FIRST_OPERATOR: &str = "first-operator";

/// Seconds between looks.
pub(super) const SECONDS: u32 = 5;
/// An initialisation makes keys, a Raft and a barrier: a slow disk takes its time.
const LONG: u32 = 30;

/// The Secret that takes the answer. Made before the store is asked for anything: an answer without a place would be lost.
pub fn secret(cluster: &Cluster) -> GeneratedSecret {
    let holder = format!("{}/{}", cluster.namespace, cluster.pod(0));
    let holder = Template { template: holder, values: Default::default(), secrets: Default::default() };
    let secret = GeneratedSecret::identity(cluster.init_secret())
        .entry("attempt", &Bytes { length: 16, encoding: Encoding::Hex })
        .entry("holder", &holder);
    cluster.labels().into_iter().fold(secret, |secret, (key, value)| secret.label(key, value))
}

/// Asks which volume the first node has.
pub(super) fn ask_claim(cluster: &Cluster) -> Need {
    let reference = ObjectRef::new("v1", "PersistentVolumeClaim", claim(cluster)).in_namespace(cluster.namespace);
    // A question without a part would be one for all of it.
    Need::poll(FIRST_CLAIM, SECONDS, &need::Object { reference }).project(["/metadata/uid"])
}

/// The first node's volume claim.
pub(super) fn claim(cluster: &Cluster) -> String {
    format!("{DATA_CLAIM}-{}", cluster.pod(0))
}

/// Asks the first node whether the store is initialised. No login: everybody may ask that.
pub(super) fn ask_initialized(cluster: &Cluster) -> Need {
    let endpoint = Endpoint { credential: None, ..first(cluster, INIT, &[IS_INITIALIZED]) };
    Need::poll(FIRST_INIT, SECONDS, &need::Http { endpoint })
}

/// Asks the store whose the token in the Secret is: whether there is one, and whether it is this store's.
pub(super) fn ask_root(cluster: &Cluster) -> Need {
    ask_root_as(cluster, FIRST_ROOT)
}

/// The same once more. Under an id of its own it is another question, so that its answer was not there when the first was seen.
pub(super) fn ask_root_again(cluster: &Cluster) -> Need {
    ask_root_as(cluster, FIRST_ROOT_AGAIN)
}

fn ask_root_as(cluster: &Cluster, id: &str) -> Need {
    let endpoint = Endpoint { credential: Some(root(cluster)), ..first(cluster, LOOKUP_SELF, &[]) };
    Need::poll(id, SECONDS, &need::Http { endpoint })
}

/// Asks something as the operator's user.
pub(super) fn ask_as_operator(cluster: &Cluster) -> Need {
    let endpoint = first(cluster, access::CONFIGURATION, &[]);
    Need::poll(FIRST_OPERATOR, SECONDS, &need::Http { endpoint })
}

/// Tells the store to initialise itself. The answer goes into the Secret, both parts or none.
pub(super) fn initialize(cluster: &Cluster, id: &str) -> Action {
    let InitializationSpec { recovery, .. } = &cluster.spec.initialization;
    let recovery = recovery.unwrap_or_default();
    let endpoint = Endpoint { credential: None, timeout_seconds: Some(LONG), ..first(cluster, INIT, &[REFUSAL]) };
    let capture = [("/root_token", ROOT_TOKEN), ("/recovery_keys_base64", RECOVERY_KEYS)].map(|(pointer, key)| Capture {
        pointer: pointer.to_owned(),
        secret: cluster.init_secret(),
        key: key.to_owned(),
    });
    let body = json!({"recovery_shares": recovery.shares, "recovery_threshold": recovery.threshold});
    Action::new(id, &action::Http { endpoint, method: Method::Put, body, capture: capture.into() })
}

/// What lets `admin` and `operator` in, in order, by id. `store` tells the actions for one store from those for another.
pub(super) fn users(cluster: &Cluster, store: &str) -> Vec<(String, Action)> {
    let password = |secret: String| {
        let from = InjectionSource::Secret(SecretKeyRef::new(secret, "password"));
        vec![Injection { pointer: "/body/password".to_owned(), from, prefix: String::new() }]
    };
    let requests = [
        ("method", USERPASS, json!({"type": "userpass"}), Vec::new()),
        ("admin-policy", POLICY_ADMIN, json!({"policy": ADMIN_POLICY}), Vec::new()),
        ("admin", USER_ADMIN, json!({"token_policies": ["admin"]}), password(cluster.admin_secret())),
        ("operator-policy", POLICY_OPERATOR, json!({"policy": access::policy(cluster)}), Vec::new()),
        ("operator", USER_OPERATOR, access::user(), password(cluster.operator_secret())),
    ];
    let made = |(name, path, body, inject): (&str, &str, Value, Vec<Injection>)| {
        let id = format!("make-{name}-{store}");
        let endpoint = Endpoint { inject, ..as_root(cluster, path) };
        let action = Action::new(&id, &action::Http { endpoint, method: Method::Put, body, capture: Vec::new() });
        (id, action)
    };
    requests.map(made).into()
}

/// Ends the root token.
pub(super) fn revoke(cluster: &Cluster, id: &str) -> Action {
    let endpoint = as_root(cluster, REVOKE_SELF);
    Action::new(id, &action::Http { endpoint, method: Method::Put, body: json!({}), capture: Vec::new() })
}

fn as_root(cluster: &Cluster, path: &str) -> Endpoint {
    Endpoint { credential: Some(root(cluster)), ..first(cluster, path, &[REFUSAL]) }
}

fn first(cluster: &Cluster, path: &str, expose: &[&str]) -> Endpoint {
    access::endpoint(cluster, access::node(cluster, 0), path, expose)
}

fn root(cluster: &Cluster) -> Credential {
    Credential::Secret(SecretCredential {
        from: SecretKeyRef::new(cluster.init_secret(), ROOT_TOKEN),
        header: access::TOKEN_HEADER.to_owned(),
        prefix: String::new(),
    })
}
