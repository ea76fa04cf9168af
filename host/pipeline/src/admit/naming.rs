//! What an owner's spec and the outputs of components name: the ground on which `owner-spec`, `input` and `referenced` stand.

use std::collections::BTreeSet;

use crate::contract::Json;
use crate::observation::Owner;

/// What the owner's spec names.
#[derive(Debug, Default)]
pub(super) struct SpecNames {
    secrets: BTreeSet<String>,
    images: BTreeSet<String>,
    strings: BTreeSet<String>,
    pairs: BTreeSet<(String, String)>,
}

impl SpecNames {
    pub(super) fn of(owner: &Owner) -> Self {
        let mut names = Self::default();
        names.walk(owner.spec(), owner.reference.namespace.as_deref(), "", false);
        names
    }

    /// Whether a field that speaks of Secrets holds that name: `credentialsSecretRef: {name: …}`, `secretName: …`.
    pub(super) fn secret(&self, name: &str) -> bool {
        self.secrets.contains(name)
    }

    /// Whether a field that speaks of images holds that reference, whole, as repository and tag, or pinned to a digest.
    pub(super) fn image(&self, reference: &str) -> bool {
        let unpinned = reference.split_once("@sha256:").map(|(name, _)| name);
        self.images.contains(reference) || unpinned.is_some_and(|name| self.images.contains(name))
    }

    /// Whether any field holds that string.
    pub(super) fn string(&self, text: &str) -> bool {
        self.strings.contains(text)
    }

    /// All strings in it.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.strings.iter()
    }

    /// Whether a map has that entry.
    pub(super) fn pair(&self, key: &str, value: &str) -> bool {
        self.pairs.contains(&(key.to_owned(), value.to_owned()))
    }

    fn walk(&mut self, value: &Json, namespace: Option<&str>, key: &str, in_secret: bool) {
        let lower = key.to_ascii_lowercase();
        let speaks_of_secrets = lower.contains("secret") || lower == "restorefrom";
        match value {
            Json::String(text) => {
                self.strings.insert(text.clone());
                if speaks_of_secrets || (in_secret && lower == "name") {
                    self.secrets.insert(text.clone());
                }
                if lower.contains("image") {
                    self.images.insert(text.clone());
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.walk(item, namespace, key, in_secret || speaks_of_secrets)),
            Json::Object(fields) => {
                // A reference into another namespace does not name a Secret of this one.
                let elsewhere = fields.get("namespace").and_then(Json::as_str).is_some_and(|other| Some(other) != namespace);
                self.image_in_parts(fields);
                for (name, field) in fields {
                    if let Some(text) = field.as_str() {
                        self.pairs.insert((name.clone(), text.to_owned()));
                    }
                    let here = !elsewhere && (in_secret || speaks_of_secrets);
                    if elsewhere && (speaks_of_secrets || in_secret) {
                        self.strings_only(field);
                    } else {
                        self.walk(field, namespace, name, here);
                    }
                }
            }
            _ => {}
        }
    }

    fn strings_only(&mut self, value: &Json) {
        let mut found = BTreeSet::new();
        strings(value, &mut found);
        self.strings.append(&mut found);
    }

    fn image_in_parts(&mut self, fields: &serde_json::Map<String, Json>) {
        let text = |name: &str| fields.get(name).and_then(Json::as_str);
        let Some(repository) = text("repository") else { return };
        let name = text("registry").map_or_else(|| repository.to_owned(), |registry| format!("{registry}/{repository}"));
        if let Some(tag) = text("tag") {
            self.images.insert(format!("{name}:{tag}"));
        }
        if let Some(digest) = text("digest") {
            self.images.insert(format!("{name}@{digest}"));
        }
    }
}

/// All strings in a value.
pub(super) fn strings(value: &Json, found: &mut BTreeSet<String>) {
    match value {
        Json::String(text) => {
            found.insert(text.clone());
        }
        Json::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Json::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use banhbaoring_api::inventory::OwnerReference;
    use serde_json::json;

    use super::*;

    fn names(spec: Json) -> SpecNames {
        SpecNames::of(&Owner {
            reference: OwnerReference { namespace: Some("team-a".to_owned()), ..OwnerReference::default() },
            generation: 1,
            deleting: false,
            object: json!({ "spec": spec }),
        })
    }

    #[test]
    fn only_fields_that_speak_of_secrets_name_secrets() {
        let names = names(json!({"unseal": {"credentialsSecretRef": {"name": "kms", "key": "token"}}, "title": "other",
            "tls": {"secretName": "tls"}, "restoreFrom": "backup", "imagePullSecrets": [{"name": "pull"}], "user": {"name": "joe"}}));
        for secret in ["kms", "tls", "pull", "backup"] {
            assert!(names.secret(secret), "{secret}");
        }
        for other in ["token", "other", "joe"] {
            assert!(!names.secret(other), "{other}");
        }
    }

    #[test]
    fn a_secret_of_another_namespace_is_not_one_of_this() {
        let names = names(
            json!({"a": {"secretRef": {"name": "theirs", "namespace": "team-b"}}, "b": {"secretRef": {"name": "ours", "namespace": "team-a"}}}),
        );
        assert!(!names.secret("theirs") && names.secret("ours") && names.string("theirs"));
    }

    #[test]
    fn an_image_may_be_named_whole_in_parts_or_pinned() {
        let names =
            names(json!({"image": "quay.io/x/bao:2.4", "other": {"repository": "quay.io/x/tool", "tag": "1"}, "title": "docker.io/evil"}));
        let digest = format!("quay.io/x/bao:2.4@sha256:{}", "a".repeat(64));
        assert!(names.image("quay.io/x/bao:2.4") && names.image("quay.io/x/tool:1") && names.image(&digest));
        assert!(!names.image("docker.io/evil") && !names.image("quay.io/x/tool"));
    }
}
