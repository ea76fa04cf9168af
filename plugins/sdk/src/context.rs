//! What a component is given: its request, read into the author's types.

use banhbaoring_contract::action::ActionSpec;
use banhbaoring_contract::need::NeedSpec;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::answer::{self, Answer, Outcome};
use crate::component::Component;
use crate::owner::OwnerMetadata;
use crate::parse;
use crate::wit::{self, Failure, Platform, ReadinessState, Request, Seal, SlotFilling};

/// Everything that a component may base its answer on.
pub struct Context<C: Component> {
    request: Request,
    metadata: OwnerMetadata,
    owner: C::Owner,
    config: C::Config,
    config_field: String,
    children: Vec<Child>,
}

/// A child of this component as the host sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Which one.
    pub reference: wit::ObjectReference,
    /// How it is.
    pub readiness: ReadinessState,
    /// Why, CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The fields asked for, by pointer.
    pub fields: Map<String, Value>,
}

impl Child {
    /// A field that was asked for, by pointer; null where it is absent.
    pub fn field(&self, pointer: &str) -> &Value {
        static NOTHING: Value = Value::Null;
        self.fields.get(pointer).unwrap_or(&NOTHING)
    }
}

impl<C: Component> Context<C> {
    /// Reads a request. A config that does not fit is a failure that names the field.
    pub fn new(request: Request) -> Result<Self, Failure> {
        let metadata = OwnerMetadata::parse(&request.owner)?;
        let config_field = parse::path_of(&C::describe().config_path);
        let owner = parse::config(&request.owner, "")?;
        let config = parse::config(&request.config, &config_field)?;
        let children = request
            .children
            .iter()
            .map(|child| {
                Ok(Child {
                    reference: child.reference.clone(),
                    readiness: child.readiness,
                    reason: child.reason.clone(),
                    message: child.message.clone(),
                    fields: parse::host("a child's fields", &child.fields)?,
                })
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self { request, metadata, owner, config, config_field, children })
    }

    /// The owner's metadata.
    pub fn metadata(&self) -> &OwnerMetadata {
        &self.metadata
    }

    /// The owner's name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The owner's namespace; empty for a cluster-scoped owner.
    pub fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// The owner's uid; empty where it is rendered from a file.
    pub fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// The owner.
    pub fn owner(&self) -> &C::Owner {
        &self.owner
    }

    /// The component's part of the owner's spec.
    pub fn config(&self) -> &C::Config {
        &self.config
    }

    /// The path of a field of the config in the owner: `spec.redis.replicas` for `replicas`.
    pub fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.config_field)
    }

    /// `Plugin.spec.config`.
    pub fn plugin_config<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        parse::config(&self.request.plugin_config, "Plugin.spec.config")
    }

    /// This component's status fragment as it was last written. One that an older version wrote in another form is treated as absent.
    pub fn previous<T: DeserializeOwned>(&self) -> Option<T> {
        self.request.previous.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// The cluster. See also [`PlatformExt::serves`](crate::PlatformExt::serves).
    pub fn platform(&self) -> &Platform {
        &self.request.platform
    }

    /// The children, sorted by kind, namespace and name.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// One child in the owner's namespace (or a cluster-scoped one).
    pub fn child(&self, kind: &str, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.reference.kind == kind && child.reference.name == name)
    }

    /// That child exists and is ready.
    pub fn is_ready(&self, kind: &str, name: &str) -> bool {
        self.child(kind, name).is_some_and(|child| child.readiness == ReadinessState::Ready)
    }

    /// The outputs of a component before this one; `None` while there are none.
    pub fn input<T: DeserializeOwned>(&self, component: &str) -> Result<Option<T>, Failure> {
        self.request
            .inputs
            .iter()
            .find(|input| input.component == component)
            .map(|input| parse::host(&format!("the outputs of `{component}`"), &input.outputs))
            .transpose()
    }

    /// What fills an unseal slot; `None` while nothing does.
    pub fn slot(&self, name: &str) -> Option<&Seal> {
        self.request.slots.iter().find(|answer| answer.slot == name).map(|answer| match &answer.filling {
            SlotFilling::Seal(seal) => seal,
        })
    }

    /// The name of the provider that fills a slot.
    pub fn slot_provider(&self, name: &str) -> Option<&str> {
        self.request.slots.iter().find(|answer| answer.slot == name).map(|answer| answer.provider.as_str())
    }

    /// The answer to a need: `cx.answer::<need::Object>("gateway")?`.
    pub fn answer<S: NeedSpec>(&self, id: &str) -> Result<Answer<S::Answer>, Failure> {
        answer::answer(&self.request.answers, id)
    }

    /// The outcome of an action of the last response.
    pub fn outcome<S: ActionSpec>(&self, id: &str) -> Result<Outcome<S::Result>, Failure> {
        answer::outcome(&self.request.results, id)
    }

    /// The owner is being deleted.
    pub fn deleting(&self) -> bool {
        self.request.deleting
    }

    /// Seconds since 1970, truncated to the granularity of the descriptor; `None` where no clock was asked for.
    pub fn time(&self) -> Option<u64> {
        self.request.time
    }

    /// The request as it came.
    pub fn request(&self) -> &Request {
        &self.request
    }
}
