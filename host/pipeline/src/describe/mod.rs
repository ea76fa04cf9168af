//! What a plugin says of itself, checked before it may serve: form, schemas, kinds, and that what it asks for is granted. Also how
//! grants relate to each other, whether a new definition of a kind is only an addition, and where two plugins want the same name.
//!
//! Nothing here looks at an answer: that is `admit`.

mod admissions;
mod compatible;
mod components;
mod conflicts;
mod covers;
mod definition;
mod intersect;
mod names;
mod schema;
#[cfg(test)]
mod tests;

use banhbaoring_api::Grants;

use crate::contract::Descriptor;

pub use compatible::{Incompatible, kind_compatible};
pub use conflicts::{Conflict, conflicts};
pub(crate) use covers::admission_is_granted;
pub use covers::{Missing, covers};
pub use intersect::intersect;

/// Why a descriptor is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// A field is malformed, missing or contradicts another.
    #[error("{field}: expected {expected}, found {found}; publish a version of the plugin whose descriptor is right")]
    Invalid {
        /// Path into the descriptor, `components[0].after`.
        field: String,
        /// What was expected.
        expected: String,
        /// What was found, shortened.
        found: String,
    },
    /// It brings a kind that it was not granted by name.
    #[error("the plugin brings the kind {kind}, which is not granted; add to the Plugin's grants: kinds: [{kind}]")]
    KindNotGranted {
        /// `group/Kind`.
        kind: String,
    },
    /// It asks for more than it was granted, by the Plugin or the ceiling of a policy.
    #[error("the plugin asks for {} that it was not granted: {}", if .0.len() == 1 { "something" } else { "things" }, lines(.0))]
    MissingGrant(Vec<Missing>),
}

impl DescribeError {
    /// CamelCase, bounded: the reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "DescriptorInvalid",
            Self::KindNotGranted { .. } => "KindNotGranted",
            Self::MissingGrant(_) => "MissingGrant",
        }
    }

    pub(self) fn invalid(field: impl Into<String>, expected: impl Into<String>, found: &str) -> Self {
        Self::Invalid { field: field.into(), expected: expected.into(), found: crate::admit::shown(found) }
    }
}

fn lines(missing: &[Missing]) -> String {
    let mut lines: Vec<String> = missing.iter().take(8).map(|one| format!("add to the Plugin's grants: {}", one.line)).collect();
    if missing.len() > lines.len() {
        lines.push(format!("and {} more", missing.len() - lines.len()));
    }
    lines.join("; ")
}

/// Checks a descriptor against the effective grants of its plugin (those of the `Plugin`, cut by [`intersect`]).
///
/// # Errors
/// The first thing that is malformed; else a kind that is not granted; else all grants that are missing.
pub fn check(descriptor: &Descriptor, grants: &Grants) -> Result<(), DescribeError> {
    names::check(descriptor)?;
    components::check(descriptor)?;
    for (i, kind) in descriptor.kinds.iter().enumerate() {
        definition::check(kind, &format!("kinds[{i}]"))?;
    }
    for kind in &descriptor.kinds {
        let name = definition::name_of(&kind.crd);
        if !grants.kinds.contains(&name) {
            return Err(DescribeError::KindNotGranted { kind: name });
        }
    }
    let asked = permissions(descriptor)?;
    admissions::check(descriptor, &asked)?;
    covers(grants, &asked).map_err(DescribeError::MissingGrant)
}

/// What a descriptor asks to be granted.
///
/// # Errors
/// It does not have the form of `Plugin.spec.grants`.
pub fn permissions(descriptor: &Descriptor) -> Result<Grants, DescribeError> {
    if descriptor.permissions.is_null() {
        return Ok(Grants::default());
    }
    serde_json::from_value(descriptor.permissions.clone())
        .map_err(|error| DescribeError::invalid("permissions", "the form of Plugin.spec.grants", &error.to_string()))
}
