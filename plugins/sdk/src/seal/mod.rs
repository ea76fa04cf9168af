//! Unseal providers: a struct and one pure function from the slot's config to a [`Seal`]. A provider never writes HCL and never sees a
//! credential; it names the Secrets that hold them.

mod address;
mod build;
mod config;
mod version;

use std::borrow::Cow;

use banhbaoring_contract::schema::schema_of;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use address::ServiceAddress;
pub use config::{CredentialsSecret, KmsPluginConfig, SecretSelector};
pub use version::OpenBaoVersion;

use crate::json::canonical;
use crate::owner::OwnerMetadata;
use crate::parse;
use crate::wit::{Failure, KmsPlugin, Platform, Seal, SealRequest};

/// Fills a slot of the interface `unseal-provider`.
pub trait UnsealProvider: Sized + 'static {
    /// The name that selects it: `awskms`.
    const NAME: &'static str;
    /// Other names for the same.
    const ALIASES: &'static [&'static str] = &[];
    /// Where its config lies in the owner; failures start with it.
    const CONFIG_FIELD: &'static str = "spec.unseal";
    /// Its config, less the selector `type`.
    type Config: DeserializeOwned + JsonSchema;

    /// The seal for this config. The same context gives the same seal, always.
    fn render(cx: &SealContext<Self>) -> Result<Seal, Failure>;
}

/// Everything that a provider may base its answer on.
pub struct SealContext<P: UnsealProvider> {
    metadata: OwnerMetadata,
    config: P::Config,
    version: OpenBaoVersion,
    platform: Platform,
    plugin_config: String,
}

impl<P: UnsealProvider> SealContext<P> {
    /// Reads a request. A config that does not fit is a failure that names the field.
    pub fn new(request: SealRequest) -> Result<Self, Failure> {
        let SealRequest { config, openbao_version, owner, platform, plugin_config } = request;
        let metadata = OwnerMetadata::parse(&owner)?;
        let version = OpenBaoVersion::parse(&openbao_version).ok_or_else(|| {
            Failure::invalid("spec.version", format!("expected a version of OpenBao such as 2.4.4, found `{openbao_version}`"))
        })?;
        let mut config: Value = parse::host("the slot's config", &config)?;
        if config.is_null() {
            // The owner says nothing about its seal: the slot's default provider with its own defaults.
            config = json!({});
        }
        if let Value::Object(members) = &mut config {
            // The selector belongs to the slot, not to the provider.
            members.remove("type");
        }
        let config = parse::config(&canonical(&config), P::CONFIG_FIELD)?;
        Ok(Self { metadata, config, version, platform, plugin_config })
    }

    /// The provider's config.
    pub fn config(&self) -> &P::Config {
        &self.config
    }

    /// The version that the owner will run.
    pub fn version(&self) -> OpenBaoVersion {
        self.version
    }

    /// The owner's metadata.
    pub fn metadata(&self) -> &OwnerMetadata {
        &self.metadata
    }

    /// The owner's name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The cluster.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// `Plugin.spec.config`.
    pub fn plugin_config<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        parse::config(&self.plugin_config, "Plugin.spec.config")
    }

    /// The path of a field of the config in the owner: `spec.unseal.keyId` for `keyId`.
    pub fn field(&self, name: &str) -> String {
        format!("{}.{name}", P::CONFIG_FIELD)
    }

    /// A text that must say something; empty or blank is a failure at that field.
    pub fn required<'a>(&self, name: &str, value: &'a str) -> Result<&'a str, Failure> {
        if value.trim().is_empty() {
            return Err(Failure::invalid(self.field(name), format!("`{name}` is empty; the {} seal needs it", P::NAME)));
        }
        Ok(value)
    }

    /// A seal that a version brought: an older one is told which version to take.
    pub fn since(&self, major: u64, minor: u64) -> Result<(), Failure> {
        if self.version.at_least(major, minor) {
            return Ok(());
        }
        Err(Failure::unsupported(
            "OpenBaoTooOld",
            format!("the {} seal needs OpenBao {major}.{minor} or newer, found {}; raise spec.version", P::NAME, self.version),
        )
        .at("spec.version"))
    }

    /// The `plugin "kms"` block of a seal that OpenBao carries no longer from 2.7 on: required then, possible from 2.6, unknown before.
    pub fn kms_plugin(&self, stanza: &str, config: Option<&KmsPluginConfig>) -> Result<Option<KmsPlugin>, Failure> {
        match config {
            None if self.version.at_least(2, 7) => Err(Failure::invalid(
                self.field("plugin"),
                format!(
                    "OpenBao {} has no built-in {stanza} seal; set `plugin` with `image` or `command`, `version` and `sha256`",
                    self.version
                ),
            )),
            None => Ok(None),
            Some(_) if !self.version.at_least(2, 6) => Err(Failure::invalid(
                self.field("plugin"),
                format!("OpenBao {} knows no KMS plugins, only 2.6 and newer do; remove `plugin` or raise spec.version", self.version),
            )),
            Some(config) => config.block(stanza, &self.field("plugin")).map(Some),
        }
    }
}

/// Runs a provider on a request from the host.
pub fn render<P: UnsealProvider>(request: SealRequest) -> Result<Seal, Failure> {
    P::render(&SealContext::new(request)?)
}

/// The schema of what the slot's config path holds: the provider's config and the selector that chose it.
pub(crate) fn config_schema<P: UnsealProvider>() -> Value {
    let mut schema = schema_of::<P::Config>();
    let names: Vec<Cow<'_, str>> = std::iter::once(P::NAME).chain(P::ALIASES.iter().copied()).map(Cow::from).collect();
    if let Some(members) = schema.as_object_mut() {
        let properties = members.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("type".to_owned(), json!({"type": "string", "enum": names}));
        }
    }
    schema
}
