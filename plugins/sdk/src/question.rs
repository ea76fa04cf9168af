//! Needs and actions as a component writes them into its response.

use banhbaoring_contract::action::ActionSpec;
use banhbaoring_contract::need::NeedSpec;

use crate::json;
use crate::wit::{Action, Need, NeedMode};

impl Need {
    /// A question that is kept up to date: the component runs again when the answer changes.
    pub fn watch<S: NeedSpec>(id: impl Into<String>, spec: &S) -> Self {
        Self::with_mode(id.into(), NeedMode::Watch, spec)
    }

    /// A question that is asked again every so many seconds.
    pub fn poll<S: NeedSpec>(id: impl Into<String>, seconds: u32, spec: &S) -> Self {
        Self::with_mode(id.into(), NeedMode::Poll(seconds), spec)
    }

    /// A question that is asked anew for this very reconcile.
    pub fn fresh<S: NeedSpec>(id: impl Into<String>, spec: &S) -> Self {
        Self::with_mode(id.into(), NeedMode::Fresh, spec)
    }

    /// Only these fields come back (JSON pointers), so that nothing else is a change.
    #[must_use]
    pub fn project<I>(mut self, pointers: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.project.extend(pointers.into_iter().map(Into::into));
        self
    }

    fn with_mode<S: NeedSpec>(id: String, mode: NeedMode, spec: &S) -> Self {
        Self { id, kind: S::KIND.to_owned(), mode, project: Vec::new(), spec: json::of_contract(spec) }
    }
}

impl Action {
    /// A side effect under an id of this component; its result comes with the next request.
    pub fn new<S: ActionSpec>(id: impl Into<String>, spec: &S) -> Self {
        Self { id: id.into(), kind: S::KIND.to_owned(), spec: json::of_contract(spec) }
    }
}
