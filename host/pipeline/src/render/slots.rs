//! Providers of slots: asked before the component, and admitted under their own plugin's grants before it sees the answer.

use super::{Outcome, Pass, RenderedSlot, failed, fitting};
use crate::admit::admit_seal;
use crate::config;
use crate::contract::{Failure, FailureClass, Json, SealRequest};
use crate::graph::{FilledSlot, Node};
use crate::json;

impl Pass<'_> {
    /// The admitted answer of the provider of one slot; `config` is the component's.
    pub(super) fn slot(&self, node: &Node, filled: &FilledSlot, config: &Json) -> Result<RenderedSlot, Box<Outcome>> {
        let (plugin, name) = (&filled.plugin, &filled.provider);
        let slot = node.component.slots.iter().find(|slot| slot.name == filled.slot);
        let provider = plugin.descriptor.unseal_providers.iter().find(|provider| provider.name == *name);
        let (Some(slot), Some(provider)) = (slot, provider) else {
            return Err(failed(Failure {
                class: FailureClass::Plugin,
                reason: "SlotUnknown".to_owned(),
                message: format!(
                    "expected slot {} and provider {name} to be described, found that one is not; compose the graph anew",
                    filled.slot
                ),
                field: None,
            }));
        };
        let path = [node.component.config_path.as_str(), slot.config_path.as_str()];
        let written = config::at(config, &slot.config_path);
        let request = SealRequest {
            config: fitting(plugin, &format!("provider {name}"), provider.config_schema.as_ref(), written, &path).map_err(failed)?,
            openbao_version: json::get(config, "/version").and_then(Json::as_str).unwrap_or_default().to_owned(),
            owner: self.owner.clone(),
            platform: self.observation.platform.clone(),
            plugin_config: plugin.config.clone(),
        };
        let seal = self.renderer.render_seal(plugin, name, &request).map_err(failed)?;
        admit_seal(plugin, &self.observation.owner, &seal).map_err(|mut refusal| {
            refusal.component.clone_from(&node.component.name);
            Box::new(Outcome::Refused(refusal))
        })?;
        Ok(RenderedSlot { slot: filled.slot.clone(), provider: name.clone(), plugin: plugin.clone(), seal })
    }
}
