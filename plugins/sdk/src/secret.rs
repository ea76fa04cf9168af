//! Secrets whose material the host makes. The plugin names generators and never sees a value.

use banhbaoring_contract::generator::GeneratorSpec;

use crate::json;
use crate::wit::{GeneratedSecret, KeyValue, Publication, SecretClass, SecretEntry};

impl GeneratedSecret {
    /// Made once, never overwritten, kept when the owner is deleted.
    pub fn identity(name: impl Into<String>) -> Self {
        Self::of_class(name.into(), SecretClass::Identity, true)
    }

    /// Made anew so many seconds before it expires; deleted with the owner.
    pub fn renewable(name: impl Into<String>, renew_before_seconds: u32) -> Self {
        Self::of_class(name.into(), SecretClass::Renewable(renew_before_seconds), false)
    }

    /// One more key.
    #[must_use]
    pub fn entry<G: GeneratorSpec>(mut self, key: impl Into<String>, generator: &G) -> Self {
        self.entries.push(SecretEntry { key: key.into(), generator: G::NAME.to_owned(), spec: json::of_contract(generator) });
        self
    }

    /// One more label. The last of a name wins.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        set(&mut self.labels, key.into(), value.into());
        self
    }

    /// Copies a public part (a CA certificate) into a ConfigMap of the owner's namespace.
    #[must_use]
    pub fn publish(mut self, key: impl Into<String>, config_map: impl Into<String>, config_map_key: impl Into<String>) -> Self {
        self.publish.push(Publication { key: key.into(), config_map: config_map.into(), config_map_key: config_map_key.into() });
        self
    }

    /// At creation, copy the material of this Secret instead of making new one.
    #[must_use]
    pub fn restore_from(mut self, secret: impl Into<String>) -> Self {
        self.restore_from = Some(secret.into());
        self
    }

    /// Whether it stays when the owner is deleted.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    fn of_class(name: String, class: SecretClass, keep: bool) -> Self {
        Self { name, class, labels: Vec::new(), entries: Vec::new(), publish: Vec::new(), restore_from: None, keep }
    }
}

/// Sets one of a sorted list of pairs; a key appears once.
pub(crate) fn set(pairs: &mut Vec<KeyValue>, key: String, value: String) {
    match pairs.binary_search_by(|pair| pair.key.cmp(&key)) {
        Ok(found) => {
            if let Some(pair) = pairs.get_mut(found) {
                pair.value = value;
            }
        }
        Err(place) => pairs.insert(place, KeyValue { key, value }),
    }
}
