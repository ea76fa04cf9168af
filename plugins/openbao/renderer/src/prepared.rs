//! What a spec comes to by itself, and why it comes to nothing: the one place that the component and the admission both ask, so that what is refused at the
//! write is what the component would refuse, in the same words.

use banhbaoring_sdk::Failure;

use crate::cluster::Cluster;
use crate::objects::Template;
use crate::{check, config, initialization, objects, plugin_catalog};

/// What does not depend on how the nodes are.
pub struct Prepared {
    /// The text of `config.hcl`.
    pub config: String,
    /// The pods' template.
    pub template: Template,
    /// The first node initialises the store.
    pub by_itself: bool,
}

impl Prepared {
    /// Renders it, or refuses the spec. All that is refused for what stands in it is refused here.
    pub fn of(cluster: &Cluster, was_initialized: bool) -> Result<Self, Failure> {
        check::check(cluster)?;
        plugin_catalog::check(cluster)?;
        objects::edge_certificate(cluster)?;
        let by_itself = initialization::is_by_itself(cluster)?;
        if by_itself {
            // Rendered with the objects; here for what it refuses.
            initialization::file(cluster, was_initialized)?;
        }
        let config = config::render(cluster)?;
        let template = objects::template(cluster, &config)?;
        Ok(Self { config, template, by_itself })
    }
}
