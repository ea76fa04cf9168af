//! The component `openbao`: reads the request, calls the pure parts in order, and puts the answer together.

use banhbaoring_openbao_api::{GROUP_KIND, ImageStatus, OpenBaoClusterSpec};
use banhbaoring_sdk::answer::Outcome;
use banhbaoring_sdk::contract::need::{self, HttpAnswer};
use banhbaoring_sdk::prelude::*;

use crate::cluster::Cluster;
use crate::image::{Image, Question};
use crate::live::{self, Attention, Live};
use crate::operation::{self, Fate};
use crate::plugin_config::PluginConfig;
use crate::prepared::Prepared;
use crate::report::Facts;
use crate::version::ServerVersion;
use crate::{access, captured, deletion, expansion, image, initialization, objects, plugin_catalog, report, secrets};

/// The extension point that an unseal provider fills.
pub const UNSEAL_SLOT: &str = "unseal";

/// The whole spec. Its schema is the kind's own, which the API server has checked already; see also [`banhbaoring_openbao_api::CRD_JSON`].
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct Config(OpenBaoClusterSpec);

impl schemars::JsonSchema for Config {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpenBaoClusterSpec".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object"})
    }
}

/// OpenBao's nodes and everything around them.
pub struct OpenBao;

impl Component for OpenBao {
    const NAME: &'static str = "openbao";
    // Not the kind's type: a status that an older plugin wrote must not keep a cluster from being rendered.
    type Owner = DynamicObject;
    type Config = Config;

    fn describe() -> ComponentDescriptor {
        let described = ComponentDescriptor::at("")
            .kind(GROUP_KIND)
            .criticality(Criticality::Required)
            .unseal_slot(UNSEAL_SLOT, "/unseal/type", "/unseal", Some("static"))
            .child_fields("apps/v1", "StatefulSet", live::STATEFUL_SET_FIELDS)
            .child_fields("v1", "ConfigMap", [deletion::OWNERS])
            .consumable();
        report::CONDITION_TYPES.into_iter().fold(described, ComponentDescriptor::condition_type)
    }

    fn reconcile(cx: &Context<Self>) -> Result<Response, Failure> {
        if cx.deleting() {
            // The pods end with the StatefulSet, the volumes as its retention policy says.
            return Ok(Response::ready().finalized());
        }
        let Config(spec) = cx.config();
        let Some(seal) = cx.slot(UNSEAL_SLOT) else {
            return Ok(Response::blocked(
                "UnsealProviderMissing",
                format!(
                    "no plugin answered for the unseal provider `{}`: install one that provides it, or change spec.unseal.type",
                    spec.unseal.provider
                ),
            ));
        };
        let plugin_config = cx.plugin_config::<Option<PluginConfig>>()?.unwrap_or_default();
        let (question, image) = image_of(cx, spec, &plugin_config)?;
        let cluster = Cluster {
            name: cx.name(),
            namespace: cx.namespace(),
            spec,
            version: ServerVersion::parse(&spec.version)?,
            image: image.name.as_deref().unwrap_or_default(),
            seal,
            platform: cx.platform(),
            config: &plugin_config,
        };
        let live = Live::read(cx, &cluster)?;
        let Prepared { config, template, by_itself } = Prepared::of(&cluster, live.was_initialized())?;
        if image.name.is_none() {
            return held(cx, &cluster, &live, &image, question.as_ref());
        }
        let captured = captured::look(cx, &cluster, &live)?;
        let requests = |id: &str| Ok(fate_of(cx.outcome::<action::Http>(id)?, refused));
        let deletions = |id: &str| Ok(fate_of(cx.outcome::<action::Delete>(id)?, |_| None));
        let operation = operation::decide(&cluster, &live, &template.hash, &requests, &deletions)?;

        let expansion = expansion::decide(&cluster, &live, &|id| {
            Ok(match cx.outcome::<action::Patch>(id)? {
                Outcome::Error(error) => Some(error),
                Outcome::NotRun | Outcome::Done(_) | Outcome::Unknown => None,
            })
        })?;

        let response = Response::progressing("Rendered", "")
            .secret(secrets::authority(&cluster))
            .secret(secrets::server(&cluster))
            .objects(objects::render(&cluster, &config, template, &live, &operation)?);
        let admin = ((by_itself || captured::is_asked_for(&cluster)) && live.wants_admin()).then(|| initialization::admin(&cluster));
        let response = admin.into_iter().fold(response, Response::secret);
        // What was asked for once is asked for further, whatever the mode is now: it has the only recovery keys.
        let init = (captured::is_asked_for(&cluster) || live.has_init).then(|| captured::requests::secret(&cluster));
        let response = init.into_iter().fold(response, Response::secret);
        let operator = live.wants_operator().then(|| access::secret(&cluster));
        let response = operator.into_iter().fold(response, Response::secret);
        let response = live::needs(&cluster, &live, &operation.attention).into_iter().fold(response, Response::need);
        let response = question.filter(|_| image.asks).iter().map(Question::need).fold(response, Response::need);
        let response = operation.actions.iter().chain(&expansion.actions).cloned().fold(response, Response::action);
        let response = captured.tell(response);
        let response = if operation.attention.is_quick { response.requeue_after(operation.attention.seconds()) } else { response };
        let response = plugin_catalog::look(cx, &cluster, &live, &operation)?.tell(response, &cluster);
        let provider = cx.slot_provider(UNSEAL_SLOT).unwrap_or(&spec.unseal.provider);
        Ok(report::tell(
            response,
            &Facts { cluster: &cluster, live: &live, captured: &captured, operation: &operation, image: &image, expansion: &expansion },
            provider,
        ))
    }
}

/// What is asked about the image, if anything, and what comes of it.
fn image_of(cx: &Context<OpenBao>, spec: &OpenBaoClusterSpec, plugin_config: &PluginConfig) -> Result<(Option<Question>, Image), Failure> {
    let default = || format!("{}:{}", plugin_config.image_repository, spec.version.replace('+', "_"));
    let reference = spec.image.clone().unwrap_or_else(default);
    let Some(verification) = spec.image_verification.as_ref().filter(|verification| verification.enabled) else {
        return Ok((None, Image::as_named(reference)));
    };
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Told {
        image: Option<ImageStatus>,
    }
    let told = cx.previous::<Told>().unwrap_or_default().image;
    let pull_secrets = spec.image_pull_secrets.iter().map(|secret| secret.name.clone()).collect();
    let question = Question::new(verification, &reference, pull_secrets, plugin_config.insecure_registry, told);
    let answer = cx.answer::<need::Image>(&question.id)?;
    let running = cx.child("StatefulSet", cx.name()).and_then(|child| child.field(live::IMAGE).as_str());
    let image = question.decide(verification.policy, answer, running);
    Ok((Some(question), image))
}

/// The answer while there is no image that may run: what is there stays as it is.
fn held(cx: &Context<OpenBao>, cluster: &Cluster, live: &Live, image: &Image, question: Option<&Question>) -> Result<Response, Failure> {
    let (reason, message) = image.verdict.as_ref().map(|verdict| (verdict.reason, verdict.message.as_str())).unwrap_or_default();
    // That something new is on its way is no news, and there is nothing that could be taken for unwanted.
    let is_first_look = cx.children().is_empty() && reason == image::PENDING;
    let response = if is_first_look { Response::progressing(reason, message) } else { Response::blocked(reason, message) };
    // Without a StatefulSet there are no pods that could be looked at as its own.
    let nodes = live.stateful_set.iter().flat_map(|_| live::needs(cluster, live, &Attention::default()));
    let response = nodes.fold(response, Response::need);
    let response = question.map(Question::need).into_iter().fold(response, Response::need);
    Ok(report::tell_held(response, cluster, live, image, cx.previous().unwrap_or_default()))
}

fn fate_of<T>(outcome: Outcome<T>, refusal: impl FnOnce(&T) -> Option<String>) -> Fate {
    match outcome {
        Outcome::NotRun => Fate::Stands,
        Outcome::Done(result) => refusal(&result).map_or(Fate::Stands, Fate::Lapsed),
        Outcome::Error(error) => Fate::Lapsed(format!("{}: {}", error.class, error.message)),
        Outcome::Unknown => Fate::Lapsed("nobody knows whether it happened".to_owned()),
    }
}

/// A request that got there has an answer of any status.
fn refused(answer: &HttpAnswer) -> Option<String> {
    (!(200..300).contains(&answer.status)).then(|| format!("the store answered {}", answer.status))
}
