//! How far an account may look: a watch of all namespaces serves every owner, but not every account is given the right to it. Asked once per kind
//! and account, of the API server itself; where that cannot be, each namespace has its own watch.

use std::collections::{BTreeSet, HashMap};

use banhbaoring_api::inventory::ChildEntry;
use banhbaoring_api::plugin::NamespacedName;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use tracing::debug;

use super::followers::Place;
use super::{Watches, lock};
use crate::sighting::Sight;

/// Api version and kind, and who looks.
type Key = (String, String, NamespacedName);

/// What is known of all accounts.
#[derive(Debug, Default)]
pub(super) struct Reach(HashMap<Key, bool>);

impl Reach {
    /// Where a child is watched.
    pub(super) fn place(&self, entry: &ChildEntry, sight: Sight) -> Place {
        let account = entry.account();
        let key = (entry.api_version.clone(), entry.kind.clone(), account);
        let is_wide = self.0.get(&key).copied().unwrap_or(false);
        let namespace = entry.namespace.clone().filter(|_| !is_wide);
        Place::new(&entry.api_version, &entry.kind, namespace, key.2, Some(sight))
    }

    /// The account may not look at all namespaces after all. Returns whether that is news.
    pub(super) fn narrow(&mut self, place: &Place) -> bool {
        let key = (place.api_version.clone(), place.kind.clone(), place.account.clone());
        let is_wide = place.namespace.is_none() && place.children.is_some();
        is_wide && self.0.get_mut(&key).is_some_and(|wide| std::mem::replace(wide, false))
    }
}

impl Watches {
    /// Finds out how far the accounts of these children may look, where that is not known.
    pub(super) async fn reach(&self, entries: impl Iterator<Item = &ChildEntry>) {
        let unknown: BTreeSet<Key> = {
            let state = lock(&self.state);
            entries
                .filter(|entry| entry.namespace.is_some())
                .map(|entry| (entry.api_version.clone(), entry.kind.clone(), entry.account()))
                .filter(|key| !state.reach.0.contains_key(key))
                .collect()
        };
        if unknown.is_empty() {
            return;
        }
        // Owners that come together ask the same: the first asks, the others wait for its answer.
        let _asking = self.asking.lock().await;
        for key in unknown {
            if lock(&self.state).reach.0.contains_key(&key) {
                continue;
            }
            // What cannot be asked today may be tomorrow: it is not remembered.
            if let Some(is_wide) = self.may_watch_all(&key).await {
                debug!(kind = %key.1, account = %key.2.name, is_wide, "how far an account may look");
                lock(&self.state).reach.0.insert(key, is_wide);
            }
        }
    }

    async fn may_watch_all(&self, (api_version, kind, account): &Key) -> Option<bool> {
        let served = self.discovery.kind(api_version, kind).await.ok()?;
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.clients.acting_as(account).ok()?);
        for verb in ["list", "watch"] {
            let attributes = ResourceAttributes {
                verb: Some(verb.to_owned()),
                group: Some(served.group().to_owned()),
                resource: Some(served.plural.clone()),
                ..ResourceAttributes::default()
            };
            let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
            let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
            let answer = reviews.create(&PostParams::default(), &review).await.ok()?;
            if !answer.status.is_some_and(|status| status.allowed) {
                return Some(false);
            }
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Views;

    #[test]
    fn an_account_that_may_not_look_at_all_namespaces_any_more_looks_at_each_by_itself() {
        let entry = ChildEntry {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: Some("team".to_owned()),
            account: "system/plugin".to_owned(),
            ..ChildEntry::default()
        };
        let sight = || Sight::of("v1", "ConfigMap", &Views::new());
        let mut reach = Reach(HashMap::from([(("v1".to_owned(), "ConfigMap".to_owned(), entry.account()), true)]));
        let wide = reach.place(&entry, sight());
        assert_eq!(wide.namespace, None);
        assert!(reach.narrow(&wide), "the first time");
        assert!(!reach.narrow(&wide), "another of its watches was faster");
        let narrow = reach.place(&entry, sight());
        assert_eq!(narrow.namespace.as_deref(), Some("team"));
        assert!(!reach.narrow(&narrow), "there is nothing narrower");
    }
}
