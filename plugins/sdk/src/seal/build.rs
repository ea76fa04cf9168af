//! Writes a seal as a chain. Every name appears once: a second value for the same name replaces the first.

use crate::secret::set;
use crate::wit::{
    Egress, EnvValue, EnvVar, GeneratedSecret, KmsPlugin, Scalar, Seal, SealAttribute, SealCredentials, SealVolume, SecretKey,
    SecretVolume, TokenVolume, VolumeSource,
};

impl Seal {
    /// A seal with the official name of its stanza (`awskms`, `gcpckms`, `azurekeyvault`, `transit`, `static`) and credentials from
    /// the platform until one names a Secret.
    pub fn stanza(stanza: impl Into<String>) -> Self {
        Self {
            stanza: stanza.into(),
            attributes: Vec::new(),
            env: Vec::new(),
            volumes: Vec::new(),
            secrets: Vec::new(),
            service_account_annotations: Vec::new(),
            pod_labels: Vec::new(),
            kms_plugin: None,
            egress: Vec::new(),
            credentials: SealCredentials::Ambient,
            warnings: Vec::new(),
        }
    }

    /// An attribute of the stanza; attributes keep their order.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Scalar>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.attributes.iter_mut().find(|attribute| attribute.key == key) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(SealAttribute { key, value }),
        }
        self
    }

    /// An attribute, where there is a value.
    #[must_use]
    pub fn attribute_opt<V: Into<Scalar>>(self, key: impl Into<String>, value: Option<V>) -> Self {
        match value {
            Some(value) => self.attribute(key, value),
            None => self,
        }
    }

    /// An environment variable with a plain value.
    #[must_use]
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variable(name.into(), EnvValue::Literal(value.into()))
    }

    /// An environment variable from a Secret.
    #[must_use]
    pub fn env_from(self, name: impl Into<String>, key: SecretKey) -> Self {
        let secret = key.secret.clone();
        self.variable(name.into(), EnvValue::SecretKey(key)).uses(secret)
    }

    /// A Secret mounted whole, read-only.
    #[must_use]
    pub fn mount_secret(self, name: impl Into<String>, mount_path: impl Into<String>, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        let source = VolumeSource::Secret(SecretVolume { secret: secret.clone(), items: Vec::new() });
        self.volume(name.into(), mount_path.into(), source).uses(secret)
    }

    /// Some keys of a Secret mounted under paths of their own: `(key, path)`.
    #[must_use]
    pub fn mount_keys(
        self,
        name: impl Into<String>,
        mount_path: impl Into<String>,
        secret: impl Into<String>,
        items: &[(&str, &str)],
    ) -> Self {
        let secret = secret.into();
        let items = items.iter().map(|(key, path)| crate::wit::KeyPath { key: (*key).to_owned(), path: (*path).to_owned() }).collect();
        let source = VolumeSource::Secret(SecretVolume { secret: secret.clone(), items });
        self.volume(name.into(), mount_path.into(), source).uses(secret)
    }

    /// A token of the pod's service account, mounted at `mount_path`/`path`.
    #[must_use]
    pub fn mount_token(
        self,
        name: impl Into<String>,
        mount_path: impl Into<String>,
        path: impl Into<String>,
        audience: impl Into<String>,
        expiration_seconds: u32,
    ) -> Self {
        let source = VolumeSource::Token(TokenVolume { audience: audience.into(), path: path.into(), expiration_seconds });
        self.volume(name.into(), mount_path.into(), source)
    }

    /// A Secret that the host makes for this seal.
    #[must_use]
    pub fn secret(mut self, secret: GeneratedSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// An annotation on the pods' service account.
    #[must_use]
    pub fn annotate_service_account(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        set(&mut self.service_account_annotations, key.into(), value.into());
        self
    }

    /// A label on the pods.
    #[must_use]
    pub fn label_pods(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        set(&mut self.pod_labels, key.into(), value.into());
        self
    }

    /// The `plugin "kms"` block beside the stanza.
    #[must_use]
    pub fn kms_plugin(mut self, plugin: Option<KmsPlugin>) -> Self {
        self.kms_plugin = plugin;
        self
    }

    /// The pods must reach this TCP port, anywhere.
    #[must_use]
    pub fn egress(self, port: u16) -> Self {
        self.reaches(Egress { cidr: None, port })
    }

    /// The pods must reach this TCP port in a network, `169.254.169.254/32`.
    #[must_use]
    pub fn egress_to(self, cidr: impl Into<String>, port: u16) -> Self {
        self.reaches(Egress { cidr: Some(cidr.into()), port })
    }

    /// Something that people should know, and that is no failure.
    #[must_use]
    pub fn warning(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Tells that the credentials come from this Secret. Mounts and environment variables tell it by themselves.
    #[must_use]
    pub fn uses(mut self, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        let mut secrets = match self.credentials {
            SealCredentials::Ambient => Vec::new(),
            SealCredentials::Secrets(secrets) => secrets,
        };
        if let Err(place) = secrets.binary_search(&secret) {
            secrets.insert(place, secret);
        }
        self.credentials = SealCredentials::Secrets(secrets);
        self
    }

    fn reaches(mut self, egress: Egress) -> Self {
        if !self.egress.contains(&egress) {
            self.egress.push(egress);
        }
        self
    }

    fn variable(mut self, name: String, value: EnvValue) -> Self {
        match self.env.iter_mut().find(|variable| variable.name == name) {
            Some(variable) => variable.value = value,
            None => self.env.push(EnvVar { name, value }),
        }
        self
    }

    fn volume(mut self, name: String, mount_path: String, source: VolumeSource) -> Self {
        let volume = SealVolume { name, mount_path, source };
        match self.volumes.iter_mut().find(|known| known.name == volume.name) {
            Some(known) => *known = volume,
            None => self.volumes.push(volume),
        }
        self
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Scalar {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for Scalar {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for Scalar {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

#[cfg(test)]
mod tests {
    use crate::wit::{Seal, SealCredentials, SecretKey};

    #[test]
    fn a_name_appears_once_and_the_last_value_wins() {
        let seal = Seal::stanza("x")
            .attribute("region", "a")
            .attribute("region", "b")
            .env("A", "1")
            .env("A", "2")
            .label_pods("l", "1")
            .label_pods("l", "2")
            .egress(443)
            .egress(443);
        assert_eq!(seal.attributes.len(), 1);
        assert_eq!(seal.env.len(), 1);
        assert_eq!(seal.pod_labels.len(), 1);
        assert_eq!(seal.egress.len(), 1);
        assert_eq!(seal.pod_labels[0].value, "2");
    }

    #[test]
    fn the_secrets_used_are_told_sorted_and_once() {
        let key = |secret: &str| SecretKey { secret: secret.to_owned(), key: "k".to_owned() };
        let seal = Seal::stanza("x").env_from("B", key("b")).env_from("A", key("a")).env_from("C", key("b"));
        assert_eq!(seal.credentials, SealCredentials::Secrets(vec!["a".to_owned(), "b".to_owned()]));
    }
}
