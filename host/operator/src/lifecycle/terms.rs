//! The terms on which a revision serves: grants, account, whose owners. They change with the Plugin and its policies, not with revisions. What has to
//! be passed before a revision serves at all is `mod`'s.

use banhbaoring_api::plugin::Plugin;
use banhbaoring_pipeline::{ActivePlugin, describe};
use tracing::info;

use super::{Lifecycle, lock, policy};

impl Lifecycle {
    /// What a plugin may do is not for its newest revision to decide: what serves keeps to it from now on, whatever becomes of that one, and with
    /// the registry down. More than before is given to it only where it is what the Plugin means; a grant to another revision is none to it.
    pub(super) fn amend(&self, plugin: &Plugin) {
        let Some(serving) = plugin.metadata.name.as_deref().and_then(|name| self.active.current().plugins.get(name).cloned()) else {
            return;
        };
        let granted = policy::granted(&plugin.spec, &self.policies());
        let is_meant = lock(&self.memory).get(&serving.name).is_some_and(|memory| {
            let (digest, _) = memory.resolved;
            memory.source == plugin.spec.source.oci && digest.to_string() == serving.digest
        });
        let (grants, account) = match is_meant {
            true => (granted, plugin.spec.service_account_ref.clone()),
            false => (describe::intersect(&serving.grants, &[granted]), serving.account.clone()),
        };
        let allowed_namespaces = policy::allowed_namespaces(&plugin.spec);
        if grants != serving.grants || account != serving.account || allowed_namespaces != serving.allowed_namespaces {
            info!(plugin = %serving.name, digest = %serving.digest, "what serves is granted something else from now on");
            self.active.amend(ActivePlugin { grants, account, allowed_namespaces, ..serving.as_ref().clone() });
        }
    }
}
