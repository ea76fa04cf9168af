//! The descriptor of a whole plugin, put together by [`crate::export_plugin!`].

use banhbaoring_contract::schema::schema_of;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admission::Admission;
use crate::component::Component;
use crate::json::canonical;
use crate::seal::UnsealProvider;
use crate::wit::{DefaultImage, Descriptor, Finalizer, FinalizerTimeout, Kind, Observation, PhaseSource, UnsealProviderDescriptor};

/// A kind that the plugin brings.
#[derive(Clone, Debug)]
pub struct KindSource(Kind);

impl KindSource {
    /// A kind whose children are watched. `crd` is the whole CustomResourceDefinition, typed or as JSON.
    pub fn watch<T: Serialize>(crd: &T) -> Self {
        Self::observed(crd, Observation::Watch)
    }

    /// A kind whose children are read by name every so many seconds; only the owner is watched.
    pub fn poll<T: Serialize>(crd: &T, seconds: u32) -> Self {
        Self::observed(crd, Observation::Poll(seconds))
    }

    /// Deletion waits until the components are finalised, at most so long; then the finalizer is forced off or blocks.
    #[must_use]
    pub fn finalizer(mut self, name: impl Into<String>, timeout_seconds: u32, on_timeout: FinalizerTimeout) -> Self {
        self.0.finalizer = Some(Finalizer { name: name.into(), timeout_seconds, on_timeout });
        self
    }

    /// A component tells the phase in its own status, instead of the host computing it.
    #[must_use]
    pub fn phase_told(mut self) -> Self {
        self.0.phase = PhaseSource::Told;
        self
    }

    fn observed<T: Serialize>(crd: &T, observation: Observation) -> Self {
        // A CRD that does not serialise becomes `null`, and the host refuses the plugin.
        let crd = crate::json::without_nulls(serde_json::to_value(crd).unwrap_or(Value::Null));
        Self(Kind { crd: canonical(&crd), observation, finalizer: None, phase: PhaseSource::Aggregated })
    }
}

/// A descriptor in the making.
#[derive(Clone, Debug)]
pub struct PluginDescriptor(Descriptor);

impl PluginDescriptor {
    /// A plugin that has nothing yet.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self(Descriptor {
            name: name.into(),
            version: version.into(),
            summary: String::new(),
            homepage: None,
            license: None,
            kinds: Vec::new(),
            components: Vec::new(),
            unseal_providers: Vec::new(),
            admissions: Vec::new(),
            webhooks: Vec::new(),
            images: Vec::new(),
            permissions: canonical(&json!({})),
            config_schema: None,
        })
    }

    /// One line for people.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.0.summary = summary.into();
        self
    }

    /// Where to read more.
    #[must_use]
    pub fn homepage(mut self, homepage: impl Into<String>) -> Self {
        self.0.homepage = Some(homepage.into());
        self
    }

    /// SPDX expression; empty: not told.
    #[must_use]
    pub fn license(mut self, license: impl Into<String>) -> Self {
        self.0.license = Some(license.into()).filter(|license| !license.is_empty());
        self
    }

    /// The type of `Plugin.spec.config`.
    #[must_use]
    pub fn config<T: JsonSchema>(mut self) -> Self {
        self.0.config_schema = Some(canonical(&schema_of::<T>()));
        self
    }

    /// One more component.
    #[must_use]
    pub fn component<C: Component>(mut self) -> Self {
        let mut descriptor = C::describe();
        descriptor.name = C::NAME.to_owned();
        descriptor.config_schema.get_or_insert_with(|| canonical(&schema_of::<C::Config>()));
        self.0.components.push(descriptor);
        self
    }

    /// One more unseal provider.
    #[must_use]
    pub fn unseal_provider<P: UnsealProvider>(mut self) -> Self {
        self.0.unseal_providers.push(UnsealProviderDescriptor {
            name: P::NAME.to_owned(),
            aliases: P::ALIASES.iter().map(|alias| (*alias).to_owned()).collect(),
            config_schema: Some(canonical(&crate::seal::config_schema::<P>())),
        });
        self
    }

    /// One more admission.
    #[must_use]
    pub fn admission<A: Admission>(mut self) -> Self {
        let mut descriptor = A::describe();
        descriptor.kind = A::KIND.to_owned();
        self.0.admissions.push(descriptor);
        self
    }

    /// One more kind.
    #[must_use]
    pub fn kind(mut self, kind: KindSource) -> Self {
        self.0.kinds.push(kind.0);
        self
    }

    /// The default image of a role.
    #[must_use]
    pub fn image(mut self, role: impl Into<String>, image: impl Into<String>) -> Self {
        self.0.images.push(DefaultImage { role: role.into(), image: image.into() });
        self
    }

    /// What the plugin asks to be granted, in the form of `Plugin.spec.grants`.
    #[must_use]
    pub fn permissions(mut self, permissions: &Value) -> Self {
        self.0.permissions = canonical(permissions);
        self
    }

    /// The descriptor as it crosses to the host.
    pub fn build(self) -> Descriptor {
        self.0
    }
}
