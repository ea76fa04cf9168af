//! Who fills a component's slots: by the name in its config, resolved through aliases.

use std::sync::Arc;

use super::{FilledSlot, GraphProblem, Offer, list, serves, shown};
use crate::config;
use crate::contract::{Json, Slot};
use crate::json;
use crate::observation::Owner;
use crate::plugins::{ActivePlugin, PluginSet};

/// The one interface that fills slots so far.
const UNSEAL_PROVIDER: &str = "unseal-provider";

pub(super) fn fill(owner: &Owner, offer: Offer<'_>, plugins: &PluginSet) -> Result<Vec<FilledSlot>, GraphProblem> {
    let component = offer.component;
    if component.slots.is_empty() {
        return Ok(Vec::new());
    }
    let written = config::written(owner, &component.config_path);
    // An unusable schema is told when the component is rendered; until then the config counts as written.
    let config = config::completed(component.config_schema.as_ref(), written.clone()).unwrap_or_else(|_| written.into_owned());
    let mut filled = Vec::new();
    for slot in &component.slots {
        if let Some((provider, plugin)) = provider(owner, offer, slot, &config, plugins)? {
            filled.push(FilledSlot { slot: slot.name.clone(), provider, plugin });
        }
    }
    filled.sort_by(|a, b| a.slot.cmp(&b.slot));
    Ok(filled)
}

/// Registered name and plugin of the provider; absent where the owner chose none and there is no default.
fn provider(
    owner: &Owner,
    offer: Offer<'_>,
    slot: &Slot,
    config: &Json,
    plugins: &PluginSet,
) -> Result<Option<(String, Arc<ActivePlugin>)>, GraphProblem> {
    let problem = |reason, message| GraphProblem {
        component: Some(offer.component.name.clone()),
        reason,
        message,
        field: Some(config::field(&[&offer.component.config_path, &slot.selector])),
    };
    if slot.interface_name != UNSEAL_PROVIDER {
        let found = shown(&slot.interface_name);
        let message = format!(
            "expected slot {} to take {UNSEAL_PROVIDER}, found {found}; use a newer host or another version of plugin {}",
            slot.name, offer.plugin.name
        );
        return Err(problem("SlotUnsupported", message));
    }
    let selected = match json::get(config, &slot.selector) {
        None | Some(Json::Null) => slot.default_provider.as_deref(),
        Some(Json::String(name)) => Some(name.as_str()),
        Some(_) => {
            let message = "expected the name of a provider, found another type; write a string".to_owned();
            return Err(problem("ProviderInvalid", message));
        }
    };
    let Some(selected) = selected else { return Ok(None) };
    let offers: Vec<_> = plugins.iter().filter_map(|plugin| Some((registered(plugin, selected)?, plugin))).collect();
    let usable: Vec<_> = offers.iter().filter(|(_, plugin)| serves(plugin, owner)).collect();
    let names = |offers: &[&(&str, &Arc<ActivePlugin>)]| list(&offers.iter().map(|(_, plugin)| plugin.name.as_str()).collect::<Vec<_>>());
    match usable.as_slice() {
        [(name, plugin)] => Ok(Some(((*name).to_owned(), (*plugin).clone()))),
        [] => {
            let mut known: Vec<_> = plugins
                .iter()
                .filter(|plugin| serves(plugin, owner))
                .flat_map(|plugin| plugin.descriptor.unseal_providers.iter().map(|provider| provider.name.as_str()))
                .collect();
            known.sort_unstable();
            let barred = if offers.is_empty() {
                String::new()
            } else {
                format!(" (plugin {} may not serve this namespace)", names(&offers.iter().collect::<Vec<_>>()))
            };
            let message = format!(
                "expected a provider that an active plugin brings, found {:?}{barred}; known are {}, or install a plugin that brings it",
                shown(selected),
                list(&known)
            );
            Err(problem("ProviderUnknown", message))
        }
        several => {
            let message = format!(
                "expected one plugin to bring provider {:?}, found {}; remove all but one, or limit their namespaces",
                shown(selected),
                names(several)
            );
            Err(problem("ProviderAmbiguous", message))
        }
    }
}

/// The registered name under which a plugin brings what was selected.
fn registered<'p>(plugin: &'p ActivePlugin, selected: &str) -> Option<&'p str> {
    let providers = &plugin.descriptor.unseal_providers;
    let by_name = providers.iter().find(|provider| provider.name == selected);
    let found = by_name.or_else(|| providers.iter().find(|provider| provider.aliases.iter().any(|alias| alias == selected)))?;
    Some(&found.name)
}
