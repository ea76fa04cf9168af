//! What an API server is told to ask, for each plugin by itself: webhook configurations, and a policy with the rules that need no asking.

use std::collections::BTreeMap;

use banhbaoring_api::plugin::NamespacedName;
use serde_json::{Value, json};

use super::{is_granted, user};
use crate::contract::{AdmissionDescriptor, Json, Operation, Platform};
use crate::plan::{MANAGED_BY, MANAGED_BY_LABEL};
use crate::plugins::ActivePlugin;

/// API group of all of them.
const API_VERSION: &str = "admissionregistration.k8s.io/v1";
/// From this version on an API server evaluates match conditions of webhooks unless somebody turned that off; an older one would drop them.
const MATCH_CONDITIONS: semver::Version = semver::Version::new(1, 28, 0);
/// How long a write waits for a verdict.
const TIMEOUT_SECONDS: u32 = 5;

/// The four objects that a plugin may have, in the order in which they are written: policies are there before what binds them.
const KINDS: [&str; 4] =
    ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];

/// How the API server reaches the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Through a Service in the host's namespace, by its port.
    Service(NamespacedName, u16),
    /// At this address, where the host is no pod.
    Url(String),
}

/// What the configuration of one plugin is a function of.
#[derive(Debug, Clone, Copy)]
pub struct ConfigurationInput<'a> {
    /// Whose.
    pub plugin: &'a ActivePlugin,
    /// Uid of the `Plugin`: with it goes the configuration.
    pub uid: &'a str,
    /// The host's own account.
    pub host: &'a NamespacedName,
    /// How it is reached.
    pub reach: &'a Reach,
    /// Certificate of the authority that signed the host's, PEM in base64.
    pub ca_bundle: &'a str,
    /// What is served.
    pub platform: &'a Platform,
    /// Where the objects of a kind are, by `group/Kind`: version and plural name of the resource.
    pub resources: &'a BTreeMap<String, (String, String)>,
}

/// What there must be, and what there must not be.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// To be applied, in this order.
    pub wanted: Vec<Json>,
    /// Kinds of which none may be left under [`name`].
    pub unwanted: Vec<&'static str>,
    /// `group/Kind` of what cannot be judged because nobody serves it.
    pub unserved: Vec<String>,
}

impl Configuration {
    /// Nothing is asked and nothing is ruled; `serves` tells which kinds of [`API_VERSION`] the API server has.
    pub fn nothing(serves: impl Fn(&str) -> bool) -> Self {
        Self { unwanted: KINDS.into_iter().filter(|kind| serves(kind)).collect(), ..Self::default() }
    }
}

/// The name of all objects of a plugin's configuration.
pub fn name(plugin: &str) -> String {
    format!("banhbaoring-{plugin}")
}

/// What the API server has to be told for a plugin.
pub fn configuration(input: &ConfigurationInput<'_>) -> Configuration {
    let mut told = Configuration::default();
    let (mut validating, mut mutating, mut validations, mut ruled) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, admission) in
        input.plugin.descriptor.admissions.iter().enumerate().filter(|(_, admission)| is_granted(input.plugin, admission))
    {
        let Some(rule) = rule(input, admission) else {
            told.unserved.push(admission.kind.clone());
            continue;
        };
        if !admission.validations.is_empty() {
            validations.extend(admission.validations.iter().map(|validation| {
                json!({"expression": format!("!({}) || ({})", guard(admission), validation.expression), "message": validation.message})
            }));
            ruled.push(rule.clone());
        }
        if admission.mutating {
            mutating.push(webhook(input, admission, index, rule));
        } else {
            validating.push(webhook(input, admission, index, rule));
        }
    }
    let serves = |kind: &str| input.platform.apis.binary_search(&format!("{API_VERSION}/{kind}")).is_ok();
    for kind in KINDS {
        let body = match kind {
            "ValidatingAdmissionPolicy" | "ValidatingAdmissionPolicyBinding" if !serves(kind) => continue,
            "ValidatingAdmissionPolicy" if !validations.is_empty() => json!({"spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": ruled},
                "matchConditions": not_the_host(input),
                "validations": validations,
            }}),
            "ValidatingAdmissionPolicyBinding" if !validations.is_empty() => {
                json!({"spec": {"policyName": name(&input.plugin.name), "validationActions": ["Deny"]}})
            }
            "ValidatingWebhookConfiguration" if !validating.is_empty() => json!({"webhooks": validating}),
            "MutatingWebhookConfiguration" if !mutating.is_empty() => json!({"webhooks": mutating}),
            _ => {
                told.unwanted.push(kind);
                continue;
            }
        };
        told.wanted.push(object(input, kind, body));
    }
    told
}

fn object(input: &ConfigurationInput<'_>, kind: &str, mut body: Json) -> Json {
    if let Some(members) = body.as_object_mut() {
        members.insert("apiVersion".to_owned(), json!(API_VERSION));
        members.insert("kind".to_owned(), json!(kind));
        let owner = json!({
            "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "Plugin", "name": input.plugin.name, "uid": input.uid,
        });
        let metadata = json!({
            "name": name(&input.plugin.name),
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
            // With the Plugin goes what was told for it, also where the host is gone by then.
            "ownerReferences": [owner],
        });
        members.insert("metadata".to_owned(), metadata);
    }
    body
}

fn rule(input: &ConfigurationInput<'_>, admission: &AdmissionDescriptor) -> Option<Json> {
    let (group, _) = admission.kind.split_once('/')?;
    let (version, plural) = input.resources.get(&admission.kind)?;
    // The resource alone: what is written to `status` and other subresources waits for nobody.
    Some(json!({
        "apiGroups": [group], "apiVersions": [version], "resources": [plural], "operations": operations(admission),
    }))
}

fn operations(admission: &AdmissionDescriptor) -> Vec<&'static str> {
    admission.operations.iter().copied().map(Operation::name).collect()
}

fn webhook(input: &ConfigurationInput<'_>, admission: &AdmissionDescriptor, index: usize, rule: Json) -> Json {
    let mut client = match input.reach {
        Reach::Service(service, port) => {
            json!({"service": {"namespace": service.namespace, "name": service.name, "port": port, "path": path(&input.plugin.name)}})
        }
        Reach::Url(url) => json!({"url": format!("{url}{}", path(&input.plugin.name))}),
    };
    client["caBundle"] = json!(input.ca_bundle);
    let mut webhook = json!({
        "name": format!("{index}.{}.plugins.banhbaoring.io", input.plugin.name),
        "clientConfig": client,
        "rules": [rule],
        "matchPolicy": "Equivalent",
        // Whoever has to pause a cluster while the host is down must be able to.
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "admissionReviewVersions": ["v1"],
    });
    if admission.mutating {
        webhook["reinvocationPolicy"] = json!("IfNeeded");
    }
    if has_match_conditions(&input.platform.kubernetes_version) {
        let mut conditions = not_the_host(input);
        conditions.extend(admission.match_conditions.iter().map(|(name, expression)| json!({"name": name, "expression": expression})));
        webhook["matchConditions"] = Value::Array(conditions);
    }
    webhook
}

/// Where the host is asked about a plugin.
fn path(plugin: &str) -> String {
    format!("/review/{plugin}")
}

/// The host's own writes, and those that it makes for the plugin, wait for nobody.
fn not_the_host(input: &ConfigurationInput<'_>) -> Vec<Json> {
    let users = Value::from_iter([input.host, &input.plugin.account].map(user));
    let mut conditions = vec![json!({
        "name": "not-the-host", "expression": format!("!(request.userInfo.username in {users})"),
    })];
    if !input.plugin.allowed_namespaces.is_empty() {
        let namespaces = Value::from(input.plugin.allowed_namespaces.as_slice());
        conditions.push(
            json!({"name": "allowed-namespaces", "expression": format!("has(request.namespace) && request.namespace in {namespaces}")}),
        );
    }
    conditions
}

/// When the rules of an admission are meant.
fn guard(admission: &AdmissionDescriptor) -> String {
    let (group, kind) = admission.kind.split_once('/').unwrap_or_default();
    let operations: Vec<String> = operations(admission).iter().map(|operation| format!("'{operation}'")).collect();
    let mut parts = vec![
        format!("request.kind.group == '{group}'"),
        format!("request.kind.kind == '{kind}'"),
        format!("request.operation in [{}]", operations.join(", ")),
    ];
    parts.extend(admission.match_conditions.iter().map(|(_, expression)| format!("({expression})")));
    parts.join(" && ")
}

fn has_match_conditions(version: &str) -> bool {
    let version = version.trim_start_matches('v').split('+').next().and_then(|version| semver::Version::parse(version).ok());
    version.is_some_and(|mut version| {
        version.pre = semver::Prerelease::EMPTY;
        version >= MATCH_CONDITIONS
    })
}
