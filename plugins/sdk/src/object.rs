//! An object that a component wants, and how the host treats it.

use serde::Serialize;
use serde_json::Value;

use crate::json;
use crate::wit::{self, ApplyMode, Failure, Recreate};

/// An object to apply. Null members of the manifest are left out.
#[derive(Debug)]
pub struct Object {
    manifest: Result<Value, String>,
    mode: ApplyMode,
    keep: bool,
    create_only_fields: Vec<String>,
    exclusive: Vec<String>,
    recreate: Option<Recreate>,
}

impl Object {
    /// Kept as written by server-side apply. `manifest` is anything that serialises to a Kubernetes object with apiVersion, kind and
    /// metadata.name: a type of k8s-openapi, or JSON.
    pub fn of<T: Serialize + ?Sized>(manifest: &T) -> Self {
        Self {
            manifest: serde_json::to_value(manifest).map(json::without_nulls).map_err(|error| error.to_string()),
            mode: ApplyMode::Apply,
            keep: false,
            create_only_fields: Vec::new(),
            exclusive: Vec::new(),
            recreate: None,
        }
    }

    /// Created once and then left.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.mode = ApplyMode::CreateOnly;
        self
    }

    /// Applied only where it exists already.
    #[must_use]
    pub fn if_exists(mut self) -> Self {
        self.mode = ApplyMode::IfExists;
        self
    }

    /// Stays when the owner is deleted or the object is no longer desired.
    #[must_use]
    pub fn keep(mut self) -> Self {
        self.keep = true;
        self
    }

    /// A field that is set at creation and then left, by JSON pointer: `/spec/replicas` under an autoscaler.
    #[must_use]
    pub fn create_only_field(mut self, pointer: impl Into<String>) -> Self {
        self.create_only_fields.push(pointer.into());
        self
    }

    /// Foreign additions under this JSON pointer are removed.
    #[must_use]
    pub fn exclusive(mut self, pointer: impl Into<String>) -> Self {
        self.exclusive.push(pointer.into());
        self
    }

    /// An immutable field that differs leads to a recreate instead of a condition; dependents (pods) are left running with `orphan`.
    #[must_use]
    pub fn recreate(mut self, orphan: bool) -> Self {
        self.recreate = Some(Recreate { orphan });
        self
    }

    pub(crate) fn build(self) -> Result<wit::Object, Failure> {
        let manifest = self
            .manifest
            .map_err(|error| Failure::internal("UnserialisableObject", format!("an object does not serialise to JSON: {error}")))?;
        Ok(wit::Object {
            manifest: json::canonical(&manifest),
            mode: self.mode,
            keep: self.keep,
            create_only_fields: self.create_only_fields,
            exclusive: self.exclusive,
            recreate: self.recreate,
        })
    }
}
