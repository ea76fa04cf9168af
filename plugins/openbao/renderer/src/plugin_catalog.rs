//! What OpenBao's catalogue should say of the plugins that the spec names, and what it says: asked of the node that leads, and put right by the user `operator`.
//! How binaries come to the nodes is [`crate::objects`]'s; enabling a mount is nobody's but the cluster's user's.
//!
//! ```text
//! every node has the binary ─▶ GET: as the spec says? ─▶ Registered
//!                                   └─ absent, or otherwise ─▶ PUT, once for this entry and this leader ─▶ GET
//! ```
//!
//! Seen on a real bao 2.4.0: a version that the plugin denies is answered 400, a missing binary 500, a wrong checksum 204 (see [`crate::objects`]); the environment is
//! registered and never shown, so what was registered is remembered as a digest in the status.

use std::collections::BTreeMap;

use banhbaoring_openbao_api::{CatalogPlugin, PluginState, PluginStatus};
use banhbaoring_sdk::answer::{Answer, Outcome};
use banhbaoring_sdk::contract::action;
use banhbaoring_sdk::contract::need::{self, HttpAnswer};
use banhbaoring_sdk::json::canonical;
use banhbaoring_sdk::{Action, ConditionStatus, Context, Failure, Need, Response};
use serde_json::{Value, json};

use crate::access::{self, NOT_NOW, PLUGIN_ARGS, PLUGIN_COMMAND, PLUGIN_SHA256, REFUSAL};
use crate::cluster::Cluster;
use crate::component::OpenBao;
use crate::digest;
use crate::live::Live;
use crate::operation::Operation;
use crate::rollout::Rollout;

/// The catalogue has every plugin as the spec says. Told only where the spec names one.
pub const PLUGINS_REGISTERED: &str = "PluginsRegistered";

/// What is told while a request is under way: it must not be taken back before its outcome is known.
const TELLING: &str = "the store is told";
/// What is told once it was done. The host may have an answer from before, so what was done is remembered here until there is a newer one.
const TOLD: &str = "the store was told, and is asked again";
const ANSWERED: &str = "the store answered";
/// Longest text of the store in a message, in characters.
const SHOWN: usize = 300;

/// What follows for the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    needs: Vec<Need>,
    actions: Vec<Action>,
    plugins: Vec<PluginStatus>,
    failures: Vec<Stop>,
}

/// Why a plugin is not registered until somebody does something. In the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    ChecksumMismatch,
    AccessRefused,
    PolicyMissing,
    RegistrationRefused,
}

/// Where one plugin stands.
#[derive(Debug)]
struct Standing {
    state: PluginState,
    message: String,
    stop: Option<Stop>,
    /// It is to be registered, or was and the answer is kept.
    action: Option<Action>,
}

/// What this component wrote into the status.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Told {
    // Not its own type: what another version wrote must not make the rest forgotten.
    plugins: Vec<Value>,
}

/// Refuses what would be read otherwise than it is written. The API server does so first; a file that is rendered without one must not slip through, since names
/// become lines of a policy.
pub fn check(cluster: &Cluster) -> Result<(), Failure> {
    let plugins = &cluster.spec.plugin_catalog;
    let of = |text: &str, more: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    for (index, plugin) in plugins.iter().enumerate() {
        let wrong = |field: &str, expected: &str, found: &str| {
            let found: String = found.chars().take(80).collect();
            Err(Failure::invalid(format!("spec.pluginCatalog[{index}].{field}"), format!("expected {expected}, found `{found}`")))
        };
        let CatalogPlugin { kind: _, name, version, sha256, command, args: _, env: _, image, path } = plugin;
        if !of(name, "-._") || name.starts_with('.') {
            return wrong("name", "letters, digits, `-`, `.` and `_`", name);
        }
        if !version.strip_prefix('v').is_some_and(|version| semver::Version::parse(version).is_ok()) {
            return wrong("version", "a semantic version with a `v`, such as v1.2.3", version);
        }
        if sha256.len() != 64 || !sha256.chars().all(|c| c.is_ascii_hexdigit()) {
            return wrong("sha256", "64 hexadecimal digits", sha256);
        }
        if !of(command, "-._") || command.starts_with(['.', '-']) {
            return wrong("command", "the name of a file in /bao/plugins", command);
        }
        if let Some(path) = path.as_ref().filter(|path| !path.starts_with('/') || !of(path, "-._/")) {
            return wrong("path", "an absolute path of letters, digits, `-`, `.` and `_`", path);
        }
        if image.as_ref().is_some_and(|image| !of(image, "-._:/@")) {
            return wrong("image", "a reference of an image", image.as_deref().unwrap_or_default());
        }
        if let Some(other) = plugins.iter().find(|other| other.command == *command && !other.sha256.eq_ignore_ascii_case(sha256)) {
            return wrong("command", &format!("a command of its own, since {other} has the same one and another sha256"), command);
        }
    }
    one_place(cluster)
}

/// A volume at the place of plugins hides what the image has there.
fn one_place(cluster: &Cluster) -> Result<(), Failure> {
    use banhbaoring_sdk::wit::KmsPluginSource::{Command, Image};
    let seal = cluster.seal.kms_plugin.as_ref().map(|plugin| &plugin.source);
    let has_volume = cluster.copies_plugins() || matches!(seal, Some(Image(_)));
    let needs_image = cluster.spec.plugin_catalog.iter().any(|plugin| plugin.image.is_none());
    if cluster.spec.plugin_catalog.is_empty() || !has_volume || !(needs_image || matches!(seal, Some(Command(_)))) {
        return Ok(());
    }
    Err(Failure::invalid(
        "spec.pluginCatalog",
        "expected all plugins, also the seal's, either from images of their own or in OpenBao's own image in /bao/plugins, found both: the volume with the ones hides the others",
    ))
}

/// Reads what there is and decides. Nothing is asked before the store is initialised: nobody could log in.
pub fn look(cx: &Context<OpenBao>, cluster: &Cluster, live: &Live, operation: &Operation) -> Result<Catalog, Failure> {
    let mut catalog = Catalog::default();
    if cluster.spec.plugin_catalog.is_empty() {
        return Ok(catalog);
    }
    let told = cx.previous::<Told>().unwrap_or_default().plugins;
    let told: Vec<PluginStatus> = told.into_iter().filter_map(|plugin| serde_json::from_value(plugin).ok()).collect();
    let may_ask = live.was_initialized() && live.wants_operator();
    for plugin in &cluster.spec.plugin_catalog {
        let id = format!("plugin-{}-{}-{}", plugin.kind, plugin.name, plugin.version);
        let digest = digest_of(plugin);
        let of = |told: &&PluginStatus| (told.kind, &told.name, &told.version) == (plugin.kind, &plugin.name, &plugin.version);
        let before = told.iter().find(of).filter(|told| told.digest.as_ref() == Some(&digest));
        let standing = if may_ask {
            catalog.needs.push(access::ask_plugin(cluster, &id, plugin, operation.attention.seconds()));
            let action = live.leader_uid().map(|leader| format!("register-{}", digest::hex(&format!("{digest} {leader}"))));
            let outcome = action.as_deref().map_or(Ok(Outcome::NotRun), |action| cx.outcome::<action::Http>(action))?;
            Look { cluster, live, operation, plugin, before, action }.judge(cx.answer::<need::Http>(&id)?, outcome)
        } else {
            pending("the store has to be initialised first")
        };
        let Standing { state, message, stop, action } = standing;
        catalog.failures.extend(stop);
        catalog.actions.extend(action);
        catalog.plugins.push(PluginStatus {
            kind: plugin.kind,
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            state,
            message,
            digest: Some(digest),
        });
    }
    catalog.plugins.sort_by(|a, b| (a.kind, &a.name, &a.version).cmp(&(b.kind, &b.name, &b.version)));
    Ok(catalog)
}

/// One plugin and everything that is known of it.
struct Look<'a> {
    cluster: &'a Cluster<'a>,
    live: &'a Live,
    operation: &'a Operation,
    plugin: &'a CatalogPlugin,
    /// What was told of this very entry.
    before: Option<&'a PluginStatus>,
    /// The id under which the node that leads would be told.
    action: Option<String>,
}

impl Look<'_> {
    fn judge(&self, answer: Answer<HttpAnswer>, outcome: Outcome<HttpAnswer>) -> Standing {
        if let Some(message) = self.unusable() {
            return failed(Stop::ChecksumMismatch, message);
        }
        let was_registered = self.before.is_some_and(|before| before.state == PluginState::Registered);
        let is_done = matches!(&outcome, Outcome::Done(answer) if (200..300).contains(&answer.status));
        let was_told = is_done || self.before.is_some_and(|before| before.message == TOLD);
        let is_unknown = !matches!(answer, Answer::Known(_));
        match answer {
            _ if is_unknown && was_told => pending(TOLD),
            _ if is_unknown && self.before.is_some_and(|before| before.message == TELLING) => self.telling(pending(TELLING)),
            Answer::Unasked | Answer::Pending => self.as_before("asking the store"),
            Answer::Error(error) if error.class == "unavailable" => {
                self.as_before(&format!("the store cannot be asked: {}", error.message))
            }
            Answer::Error(error) => {
                failed(Stop::AccessRefused, format!("the store does not let the operator in: {}: {}", error.class, error.message))
            }
            Answer::Known(HttpAnswer { status: 200, exposed }) if is_as_asked(self.plugin, &exposed) && (was_registered || was_told) => {
                Standing { state: PluginState::Registered, message: String::new(), stop: None, action: None }
            }
            Answer::Known(HttpAnswer { status: 200 | 404, .. }) => self.register(outcome),
            Answer::Known(HttpAnswer { status: 403, .. }) => self.lacks_policy(),
            Answer::Known(HttpAnswer { status, .. }) => self.as_before(&format!("{ANSWERED} {status}")),
        }
    }

    /// What the init container of a node said of this plugin.
    fn unusable(&self) -> Option<String> {
        let about = format!("plugin {}: ", self.plugin);
        let said = self.live.pods().filter_map(|(node, pod)| Some((node, pod.unusable_plugin.as_ref()?)));
        said.filter_map(|(node, said)| Some((node, said.lines().find_map(|line| line.strip_prefix(&about))?)))
            .map(|(node, said)| format!("{} does not start: {said}", node.name))
            .next()
    }

    fn register(&self, outcome: Outcome<HttpAnswer>) -> Standing {
        if self.operation.rollout != Rollout::UpToDate {
            return pending("every node has to have the binary first");
        }
        if self.action.is_none() {
            return pending("no node leads");
        }
        match outcome {
            // A second attempt is no news.
            Outcome::NotRun => self.telling(match self.before {
                Some(before) if before.message.starts_with(ANSWERED) && before.state == PluginState::Pending => pending(&before.message),
                _ => pending(TELLING),
            }),
            // Either that is an answer from before, or somebody changed it since: the action is let go, so that it can be asked for again.
            Outcome::Done(answer) if (200..300).contains(&answer.status) => pending(TOLD),
            Outcome::Done(answer) if answer.status == 403 => self.lacks_policy(),
            // It may work out at the next look.
            Outcome::Done(answer) if NOT_NOW.contains(&answer.status) => pending(&refused(&answer)),
            // Not again for the same entry and the same leader: a refusal does not pass by itself.
            Outcome::Done(answer) => self.telling(failed(Stop::RegistrationRefused, refused(&answer))),
            // The host sends it again after a while.
            Outcome::Error(error) => self.telling(pending(&format!("{}: {}", error.class, error.message))),
            Outcome::Unknown => pending("nobody knows whether the store was told; it is asked again"),
        }
    }

    /// The store is told, or was and the outcome is kept.
    fn telling(&self, standing: Standing) -> Standing {
        let action = self.action.as_ref().map(|id| access::register_plugin(self.cluster, id, self.plugin));
        Standing { action, ..standing }
    }

    fn lacks_policy(&self) -> Standing {
        let rule = access::plugin_rule(self.plugin);
        failed(Stop::PolicyMissing, format!("the store's policy `{}` has no {rule}", access::OPERATOR))
    }

    /// What was registered stands until more is known: a host that starts again is no news.
    fn as_before(&self, why: &str) -> Standing {
        match self.before {
            Some(before) if before.state == PluginState::Registered => {
                Standing { state: before.state, message: before.message.clone(), stop: None, action: None }
            }
            _ => pending(why),
        }
    }
}

fn pending(message: &str) -> Standing {
    Standing { state: PluginState::Pending, message: message.to_owned(), stop: None, action: None }
}

fn failed(stop: Stop, message: String) -> Standing {
    Standing { state: PluginState::Failed, message, stop: Some(stop), action: None }
}

fn refused(answer: &HttpAnswer) -> String {
    let refusal = answer.exposed.get(REFUSAL).and_then(Value::as_str).unwrap_or_default();
    let refusal: String = refusal.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    format!("{ANSWERED} {}: {refusal}", answer.status)
}

fn is_as_asked(plugin: &CatalogPlugin, exposed: &BTreeMap<String, Value>) -> bool {
    let text = |pointer: &str| exposed.get(pointer).and_then(Value::as_str).unwrap_or_default();
    let args = exposed.get(PLUGIN_ARGS).filter(|args| !args.is_null()).cloned().unwrap_or(json!([]));
    text(PLUGIN_SHA256).eq_ignore_ascii_case(&plugin.sha256) && text(PLUGIN_COMMAND) == plugin.command && args == json!(plugin.args)
}

/// Of all that is registered. Where the binary comes from is not.
fn digest_of(plugin: &CatalogPlugin) -> String {
    let CatalogPlugin { kind, name, version, sha256, command, args, env, image: _, path: _ } = plugin;
    let registered = json!([kind.to_string(), name, version, sha256.to_ascii_lowercase(), command, args, env]);
    digest::hex(&canonical(&registered)).chars().take(16).collect()
}

impl Catalog {
    /// Adds what is asked, done and told. Without a plugin in the spec nothing is.
    pub fn tell(self, response: Response, cluster: &Cluster) -> Response {
        if self.plugins.is_empty() {
            return response;
        }
        let (status, reason, message) = self.condition(cluster);
        let response = self.needs.into_iter().fold(response, Response::need);
        let response = self.actions.into_iter().fold(response, Response::action);
        response.condition(PLUGINS_REGISTERED, status, reason, message).status(&json!({"plugins": self.plugins}))
    }

    fn condition(&self, cluster: &Cluster) -> (ConditionStatus, &'static str, String) {
        let of = |state: PluginState| {
            let found = self.plugins.iter().filter(move |plugin| plugin.state == state);
            let each: Vec<String> =
                found.map(|plugin| format!("{}/{} {}: {}", plugin.kind, plugin.name, plugin.version, plugin.message)).collect();
            each.join("; ")
        };
        let by_hand = || format!("; {}", access::by_hand(cluster));
        let failures = of(PluginState::Failed);
        match self.failures.iter().min() {
            Some(Stop::ChecksumMismatch) => (
                ConditionStatus::No,
                "ChecksumMismatch",
                format!(
                    "{failures}. No other node is touched: name the sha256 of the binary in spec.pluginCatalog, or the image that has the right binary"
                ),
            ),
            Some(Stop::AccessRefused) => (ConditionStatus::No, "AccessRefused", format!("{failures}{}", by_hand())),
            Some(Stop::PolicyMissing) => {
                (ConditionStatus::No, "PolicyMissing", format!("{failures}: it is older than the spec{}", by_hand()))
            }
            Some(Stop::RegistrationRefused) => (ConditionStatus::No, "RegistrationRefused", failures),
            None => match of(PluginState::Pending) {
                pending if pending.is_empty() => {
                    (ConditionStatus::Yes, "AllRegistered", format!("{} in the catalogue", self.plugins.len()))
                }
                pending => (ConditionStatus::No, "Pending", pending),
            },
        }
    }
}
