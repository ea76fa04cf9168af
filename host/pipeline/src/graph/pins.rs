//! The owner's own choice of plugins: `spec.plugins: [{component, plugin}]`.

use std::collections::BTreeMap;

use super::{GraphProblem, Offer, list, serves, shown};
use crate::contract::Json;
use crate::observation::Owner;
use crate::plugins::PluginSet;

/// More pins than that are not read.
const MOST: usize = 256;

/// Plugin and index of the pin by component.
pub(super) struct Pins<'o> {
    owner: &'o Owner,
    by_component: BTreeMap<String, (String, usize)>,
}

impl<'o> Pins<'o> {
    pub(super) fn read(owner: &'o Owner, problems: &mut Vec<GraphProblem>) -> Self {
        let mut pins = Self { owner, by_component: BTreeMap::new() };
        let invalid = |component: Option<&str>, message: String, field: String| GraphProblem {
            component: component.map(str::to_owned),
            reason: "PinInvalid",
            message,
            field: Some(field),
        };
        // A kind may have a field of that name which means something else; only a list can be pins.
        let Some(entries) = owner.spec().get("plugins").and_then(Json::as_array) else { return pins };
        for (index, entry) in entries.iter().enumerate().take(MOST) {
            let text = |key: &str| entry.get(key).and_then(Json::as_str);
            let (Some(component), Some(plugin)) = (text("component"), text("plugin")) else {
                let message = "expected {component: <name>, plugin: <name>}, found something else; mend or remove the entry".to_owned();
                problems.push(invalid(None, message, format!("spec.plugins[{index}]")));
                continue;
            };
            let (first, _) = pins.by_component.entry(component.to_owned()).or_insert_with(|| (plugin.to_owned(), index));
            if first != plugin {
                let message = format!(
                    "expected one plugin for component {}, found {} and {}; remove one of the entries",
                    shown(component),
                    shown(first),
                    shown(plugin)
                );
                problems.push(invalid(Some(&shown(component)), message, format!("spec.plugins[{index}].plugin")));
            }
        }
        if entries.len() > MOST {
            problems.push(invalid(
                None,
                format!("expected at most {MOST} pins, found {}; remove some", entries.len()),
                "spec.plugins".to_owned(),
            ));
        }
        pins
    }

    /// The plugin that the owner chose for a component.
    pub(super) fn plugin_of(&self, component: &str) -> Option<&str> {
        self.by_component.get(component).map(|(plugin, _)| plugin.as_str())
    }

    /// Tells pins that nobody answers.
    pub(super) fn check(&self, offers: &BTreeMap<&str, Vec<Offer<'_>>>, plugins: &PluginSet, problems: &mut Vec<GraphProblem>) {
        for (component, (plugin, index)) in &self.by_component {
            let offering: Vec<_> = offers.get(component.as_str()).into_iter().flatten().map(|offer| offer.plugin.name.as_str()).collect();
            if offering.contains(&plugin.as_str()) {
                continue;
            }
            let found = match plugins.get(plugin) {
                None => "no active plugin of that name".to_owned(),
                Some(found) if !serves(found, self.owner) => "a plugin that may not serve this namespace".to_owned(),
                Some(_) => "a plugin without that component".to_owned(),
            };
            problems.push(GraphProblem {
                component: Some(shown(component)),
                reason: "PinInvalid",
                message: format!(
                    "expected plugin {} to serve component {}, found {found}; plugins that do: {}",
                    shown(plugin),
                    shown(component),
                    list(&offering)
                ),
                field: Some(format!("spec.plugins[{index}].plugin")),
            });
        }
    }
}
