//! A component: a struct, what it is, and one pure function.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::response::Response;
use crate::wit::{self, ChildView, ComponentDescriptor, Criticality, Dependency, Failure, Gate, MetricDescriptor, MetricType, Slot};

/// A component of an owner.
pub trait Component: Sized + 'static {
    /// Its name within the kind: `redis`.
    const NAME: &'static str;
    /// The owner's type; [`DynamicObject`](crate::DynamicObject) where there is none.
    type Owner: DeserializeOwned;
    /// What lies at the component's config path. Unknown fields are refused if the type says so.
    type Config: DeserializeOwned + JsonSchema;

    /// What it is. The name and the config schema are filled in.
    fn describe() -> ComponentDescriptor;

    /// What the world should look like. The same context gives the same response, always.
    fn reconcile(cx: &Context<Self>) -> Result<Response, Failure>;
}

/// Runs a component on a request from the host.
pub fn reconcile<C: Component>(request: wit::Request) -> Result<wit::Response, Failure> {
    C::reconcile(&Context::new(request)?)?.build()
}

impl ComponentDescriptor {
    /// A required component that reads its config at a JSON pointer into the owner's spec (`/redis`, empty for the whole spec) and
    /// writes its status fragment at the same pointer into the status.
    pub fn at(config_path: impl Into<String>) -> Self {
        let config_path = config_path.into();
        Self {
            name: String::new(),
            kind: String::new(),
            status_path: config_path.clone(),
            config_path,
            after: Vec::new(),
            criticality: Criticality::Required,
            phase_on_failure: None,
            condition_types: Vec::new(),
            slots: Vec::new(),
            config_schema: None,
            children: Vec::new(),
            metrics: Vec::new(),
            clock_seconds: None,
            consumable: false,
        }
    }

    /// The kind that it belongs to: `group/Kind`.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// It starts when another component has come so far.
    #[must_use]
    pub fn after(mut self, component: impl Into<String>, gate: Gate) -> Self {
        self.after.push(Dependency { component: component.into(), gate });
        self
    }

    /// What its failure means for the owner.
    #[must_use]
    pub fn criticality(mut self, criticality: Criticality) -> Self {
        self.criticality = criticality;
        self
    }

    /// The owner's phase while it fails.
    #[must_use]
    pub fn phase_on_failure(mut self, phase: impl Into<String>) -> Self {
        self.phase_on_failure = Some(phase.into());
        self
    }

    /// Where in the status its fragment goes, where that is not its config path; empty for the top.
    #[must_use]
    pub fn status_at(mut self, pointer: impl Into<String>) -> Self {
        self.status_path = pointer.into();
        self
    }

    /// A condition type that it may report.
    #[must_use]
    pub fn condition_type(mut self, condition_type: impl Into<String>) -> Self {
        self.condition_types.push(condition_type.into());
        self
    }

    /// An extension point `unseal-provider`. `selector` and `config_path` are JSON pointers below the component's config: to the name
    /// of the provider, and to what it gets as its config.
    #[must_use]
    pub fn unseal_slot(
        mut self,
        name: impl Into<String>,
        selector: impl Into<String>,
        config_path: impl Into<String>,
        default_provider: Option<&str>,
    ) -> Self {
        self.slots.push(Slot {
            name: name.into(),
            interface_name: "unseal-provider".to_owned(),
            selector: selector.into(),
            config_path: config_path.into(),
            default_provider: default_provider.map(ToOwned::to_owned),
        });
        self
    }

    /// Fields of a kind of child that it wants to see, as JSON pointers.
    #[must_use]
    pub fn child_fields<I>(mut self, api_version: impl Into<String>, kind: impl Into<String>, fields: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.children.push(ChildView {
            api_version: api_version.into(),
            kind: kind.into(),
            fields: fields.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// A gauge that it may report.
    #[must_use]
    pub fn gauge(self, name: impl Into<String>, help: impl Into<String>, labels: &[&str]) -> Self {
        self.metric(name.into(), MetricType::Gauge, help.into(), labels)
    }

    /// A counter that it may report.
    #[must_use]
    pub fn counter(self, name: impl Into<String>, help: impl Into<String>, labels: &[&str]) -> Self {
        self.metric(name.into(), MetricType::Counter, help.into(), labels)
    }

    /// It gets a clock, truncated to so many seconds.
    #[must_use]
    pub fn clock(mut self, seconds: u32) -> Self {
        self.clock_seconds = Some(seconds);
        self
    }

    /// Other owners may consume its outputs.
    #[must_use]
    pub fn consumable(mut self) -> Self {
        self.consumable = true;
        self
    }

    fn metric(mut self, name: String, metric_type: MetricType, help: String, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.metrics.push(MetricDescriptor { name, metric_type, help, labels });
        self
    }
}
