//! Who asks, for whom, and what is already the owner's own: what every check of an answer is made against.

use std::collections::BTreeSet;

use banhbaoring_api::grants::{PodGrant, Relation};
use banhbaoring_api::inventory::InventorySpec;

use super::naming::{SpecNames, strings};
use super::refusal::{Findings, Reason, flow, shown};
use crate::contract::{Json, ObjectReference};
use crate::glob;
use crate::kinds::KindTable;
use crate::observation::Owner;
use crate::plugins::ActivePlugin;
use crate::render::Rendered;

/// Stands for the owner's name in a granted name of a Secret, `{owner}-tls`.
const OWNER: &str = "{owner}";

/// Group, kind, namespace, name.
pub(super) type Identity = (String, String, Option<String>, String);

/// What this owner's components made or are permitted to make.
#[derive(Debug, Clone, Default)]
pub(super) struct Own(BTreeSet<Identity>);

impl Own {
    /// What the host recorded as made; what was only intended proves nothing.
    pub(super) fn recorded(inventory: &InventorySpec) -> Self {
        let made = inventory.children.iter().filter(|entry| entry.uid.is_some());
        Self(
            made.map(|entry| {
                let group = crate::kinds::group_of(&entry.api_version).to_owned();
                (group, entry.kind.clone(), entry.namespace.clone(), entry.name.clone())
            })
            .collect(),
        )
    }

    /// Both together.
    pub(super) fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    pub(super) fn has(&self, group: &str, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        self.0.contains(&(group.to_owned(), kind.to_owned(), namespace.map(ToOwned::to_owned), name.to_owned()))
    }

    /// Objects of that kind in that namespace.
    pub(super) fn named(&self, group: &str, kind: &str, namespace: Option<&str>) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(g, k, n, _)| g == group && k == kind && n.as_deref() == namespace).map(|(_, _, _, name)| name.as_str())
    }
}

impl FromIterator<Identity> for Own {
    fn from_iter<T: IntoIterator<Item = Identity>>(identities: T) -> Self {
        Self(identities.into_iter().collect())
    }
}

/// A component that the one that asks comes after: what its outputs name, under whose grants, and what it makes.
#[derive(Debug)]
pub(super) struct Earlier<'a> {
    pub(super) component: &'a str,
    pub(super) answer: Own,
    plugin: &'a ActivePlugin,
    named: BTreeSet<String>,
}

impl<'a> Earlier<'a> {
    pub(super) fn of(rendered: &'a Rendered, outputs: &Json, answer: Own) -> Self {
        let mut named = BTreeSet::new();
        strings(outputs, &mut named);
        Self { component: &rendered.component, answer, plugin: &rendered.plugin, named }
    }
}

/// Who asks, for which owner, on what ground.
pub(super) struct Asker<'a> {
    pub(super) plugin: &'a ActivePlugin,
    pub(super) owner: &'a Owner,
    pub(super) kinds: &'a KindTable,
    /// What the owner's components have, this answer included.
    pub(super) own: &'a Own,
    /// What this answer makes.
    pub(super) answer: &'a Own,
    pub(super) spec: &'a SpecNames,
    /// Secrets that the seals of its slots name.
    pub(super) slot_secrets: BTreeSet<String>,
    /// Annotations of accounts that the seals of its slots ask for.
    pub(super) slot_annotations: BTreeSet<(String, String)>,
    /// Audiences of tokens that the seals of its slots project, under their own grants.
    pub(super) slot_audiences: BTreeSet<String>,
    pub(super) earlier: &'a [&'a Earlier<'a>],
}

static NO_PODS: PodGrant = PodGrant {
    host_access: false,
    service_accounts: Vec::new(),
    secret_refs: Vec::new(),
    images: Vec::new(),
    account_annotations: Vec::new(),
    pod_labels: Vec::new(),
};

impl Asker<'_> {
    pub(super) fn namespace(&self) -> Option<&str> {
        self.owner.reference.namespace.as_deref()
    }

    pub(super) fn pods(&self) -> &PodGrant {
        self.plugin.grants.pods.as_ref().unwrap_or(&NO_PODS)
    }

    /// Whether this very answer makes that object.
    pub(super) fn answer_has(&self, group: &str, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        self.answer.has(group, kind, namespace, name)
    }

    /// Whose object that is, seen from the owner.
    pub(super) fn relation_to(&self, reference: &ObjectReference) -> Relation {
        let namespace = reference.namespace.as_deref();
        if self.own.has(reference.group(), &reference.kind, namespace, &reference.name)
            || self.is_owner(reference)
            || self.stateful_set_of(reference).is_some()
        {
            return Relation::Owned;
        }
        if self.is_named(reference) { Relation::Referenced } else { Relation::Any }
    }

    /// The owner's StatefulSet whose pod, or the claim of whose pod, has such a name. Whether it is one, and made already, is seen when it is looked at.
    pub(super) fn stateful_set_of(&self, reference: &ObjectReference) -> Option<ObjectReference> {
        let is_claim = match (reference.group(), reference.kind.as_str()) {
            ("", "Pod") => false,
            ("", "PersistentVolumeClaim") => true,
            _ => return None,
        };
        let (of, ordinal) = reference.name.rsplit_once('-')?;
        if ordinal.is_empty() || !ordinal.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let namespace = reference.namespace.as_deref();
        let fits = |name: &&str| {
            of.strip_suffix(name).is_some_and(|rest| if is_claim { rest.len() > 1 && rest.ends_with('-') } else { rest.is_empty() })
        };
        let name = self.own.named("apps", "StatefulSet", namespace).filter(fits).max_by_key(|name| name.len())?;
        Some(ObjectReference {
            api_version: "apps/v1".to_owned(),
            kind: "StatefulSet".to_owned(),
            namespace: reference.namespace.clone(),
            name: name.to_owned(),
        })
    }

    /// Whether the spec or an input names the object.
    pub(super) fn is_named(&self, reference: &ObjectReference) -> bool {
        self.is_namespace_named(reference.namespace.as_deref()) && self.names_text(&reference.name)
    }

    /// Whether the spec or an input may mean objects of that namespace.
    pub(super) fn is_namespace_named(&self, namespace: Option<&str>) -> bool {
        namespace.is_none() || namespace == self.namespace() || namespace.is_some_and(|namespace| self.names_text(namespace))
    }

    /// Everything that the spec and the inputs name and that can be the name of an object.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let named = self.spec.all().chain(self.inputs().flat_map(|earlier| &earlier.named));
        named.filter(|text| (1..=253).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())).cloned().collect()
    }

    fn names_text(&self, text: &str) -> bool {
        self.spec.string(text) || self.is_input(text)
    }

    /// Components of other plugins: what a plugin names to itself opens nothing.
    fn inputs(&self) -> impl Iterator<Item = &Earlier<'_>> {
        self.earlier.iter().copied().filter(|earlier| earlier.plugin.name != self.plugin.name)
    }

    pub(super) fn is_owner(&self, reference: &ObjectReference) -> bool {
        let owner = &self.owner.reference;
        crate::kinds::group_of(&owner.api_version) == reference.group()
            && owner.kind == reference.kind
            && owner.namespace == reference.namespace
            && owner.name == reference.name
    }

    /// Whether an input names `text`.
    pub(super) fn is_input(&self, text: &str) -> bool {
        self.inputs().any(|earlier| earlier.named.contains(text))
    }

    /// Checks the use of a Secret by name. `path` says where it is named.
    pub(super) fn secret(
        &self,
        findings: &mut Findings,
        subject: Option<&ObjectReference>,
        namespace: Option<&str>,
        name: &str,
        path: &str,
    ) {
        let granted = &self.pods().secret_refs;
        let has = |word: &str| granted.iter().any(|grant| grant == word);
        let here = namespace.is_some() && namespace == self.namespace();
        let own = self.own.has("", "Secret", namespace, name);
        let in_spec = here && self.spec.secret(name);
        let input = here && (self.slot_secrets.contains(name) || self.input_secret(name, own));
        // Some other controller makes it for an object of the owner's: only its name is known, and it holds the owner's.
        let of_owner = |grant: &String| grant.contains(OWNER) && grant.replace(OWNER, &self.owner.reference.name) == name;
        let literal = (!matches!(name, "own" | "input" | "owner-spec") && !name.contains(OWNER) && has(name))
            || (here && granted.iter().any(of_owner));
        if literal || (own && has("own")) || (input && has("input")) || (in_spec && has("owner-spec")) {
            return;
        }
        let line = if own {
            "own"
        } else if input {
            "input"
        } else if in_spec {
            "owner-spec"
        } else {
            name
        };
        findings.add(
            Reason::SecretNotGranted,
            subject,
            format!(
                "{path} names Secret {}, which is {}; granted pods.secretRefs: {}; add to the Plugin's grants: pods: {{secretRefs: {}}}",
                shown(name),
                if own {
                    "the owner's own"
                } else if input {
                    "named by an input"
                } else if in_spec {
                    "named in the owner's spec"
                } else {
                    "neither made by this owner's components nor named by its spec or inputs"
                },
                flow(granted),
                flow(&[line]),
            ),
        );
    }

    /// An earlier component can only hand over what it may use itself: otherwise it would borrow this one's grants.
    fn input_secret(&self, name: &str, own: bool) -> bool {
        self.earlier.iter().filter(|earlier| earlier.named.contains(name)).any(|earlier| {
            let grants = earlier.plugin.grants.pods.as_ref().map(|pods| pods.secret_refs.as_slice()).unwrap_or_default();
            let has = |word: &str| grants.iter().any(|grant| grant == word);
            own || has(name) || (self.spec.secret(name) && has("owner-spec"))
        })
    }

    /// Checks the use of an image.
    pub(super) fn image(&self, findings: &mut Findings, subject: Option<&ObjectReference>, image: &str, path: &str) {
        let granted = &self.pods().images;
        let well_formed = (1..=512).contains(&image.len())
            && !image.ends_with(['/', ':', '@'])
            && image.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@'));
        let in_spec = self.spec.image(image);
        let ok = granted.iter().any(|grant| if grant == "owner-spec" { in_spec } else { glob::matches(grant, image) });
        if well_formed && ok {
            return;
        }
        let line = if in_spec { "owner-spec".to_owned() } else { image.to_owned() };
        findings.add(
            Reason::ImageNotGranted,
            subject,
            format!(
                "{path} is {}; granted pods.images: {}; add to the Plugin's grants: pods: {{images: {}}}",
                shown(image),
                flow(granted),
                flow(&[line]),
            ),
        );
    }

    /// Checks the use of an account by pods or as the subject of a binding.
    pub(super) fn account(
        &self,
        findings: &mut Findings,
        subject: Option<&ObjectReference>,
        namespace: Option<&str>,
        name: &str,
        path: &str,
    ) {
        let granted = &self.pods().service_accounts;
        let has = |word: &str| granted.iter().any(|grant| grant == word);
        let own = name != "default" && self.own.has("", "ServiceAccount", namespace, name);
        if (own && has("own")) || (name != "own" && has(name) && namespace == self.namespace()) {
            return;
        }
        findings.add(
            Reason::ServiceAccountNotGranted,
            subject,
            format!(
                "{path} is the account {}, which {}; granted pods.serviceAccounts: {}; render an account of your own, or add to the Plugin's \
                 grants: pods: {{serviceAccounts: {}}}",
                shown(name),
                if own { "is the owner's own" } else { "none of this owner's components made" },
                flow(granted),
                flow(&[if own { "own" } else { name }]),
            ),
        );
    }

    /// Checks the audience of a token.
    pub(super) fn audience(&self, findings: &mut Findings, subject: Option<&ObjectReference>, audience: &str, path: &str) {
        let granted = &self.plugin.grants.audiences;
        if audience.is_empty() || !(granted.iter().any(|grant| grant == audience) || self.slot_audiences.contains(audience)) {
            findings.add(
                Reason::AudienceNotGranted,
                subject,
                format!(
                    "{path} is the audience {}; granted audiences: {}; add to the Plugin's grants: audiences: {}",
                    shown(audience),
                    flow(granted),
                    flow(&[audience]),
                ),
            );
        }
    }
}
