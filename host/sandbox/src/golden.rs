//! Golden cases through the real sandbox: requests and answers in the form that serde gives the contract's generated types (fields in
//! snake_case, JSON as text), which is what the SDK's golden files hold. So one file serves the native test and the sandbox.

use serde_json::Value;

use crate::error::CallError;
use crate::module::Module;
use crate::version::Versioned;

/// Why a golden case has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The request is not what the contract's types say.
    #[error("the request is not of the contract's form: {0}; the SDK's `testing` writes requests to start from")]
    Request(#[source] serde_json::Error),
    /// The answer cannot be written as JSON.
    #[error("the answer cannot be written: {0}")]
    Answer(#[source] serde_json::Error),
    /// The plugin gave none.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What `describe` answers, unparsed.
///
/// # Errors
/// If the call fails.
pub fn describe(module: &Module) -> Result<Value, GoldenError> {
    let (Versioned::V0_1(plugin), caller) = module.versioned();
    serde_json::to_value(plugin.raw_describe(caller)?).map_err(GoldenError::Answer)
}

/// What `reconcile` answers: `{"ok": response}` or `{"err": failure}`, as the plugin gave it.
///
/// # Errors
/// If the request is not of the contract's form, or the call fails.
pub fn reconcile(module: &Module, request: Value) -> Result<Value, GoldenError> {
    let (Versioned::V0_1(plugin), caller) = module.versioned();
    let request = serde_json::from_value(request).map_err(GoldenError::Request)?;
    outcome(plugin.raw_reconcile(caller, &request)?)
}

/// What `render` answers, in the same form.
///
/// # Errors
/// As [`reconcile`].
pub fn render_seal(module: &Module, request: Value) -> Result<Value, GoldenError> {
    let (Versioned::V0_1(plugin), caller) = module.versioned();
    let request = serde_json::from_value(request).map_err(GoldenError::Request)?;
    outcome(plugin.raw_render_seal(caller, &request)?)
}

/// What `review` answers, in the same form.
///
/// # Errors
/// As [`reconcile`].
pub fn review(module: &Module, request: Value) -> Result<Value, GoldenError> {
    let (Versioned::V0_1(plugin), caller) = module.versioned();
    let request = serde_json::from_value(request).map_err(GoldenError::Request)?;
    outcome(plugin.raw_review(caller, &request)?)
}

fn outcome<T: serde::Serialize, E: serde::Serialize>(result: Result<T, E>) -> Result<Value, GoldenError> {
    let (key, value) = match result {
        Ok(answer) => ("ok", serde_json::to_value(answer)),
        Err(failure) => ("err", serde_json::to_value(failure)),
    };
    let mut object = serde_json::Map::new();
    object.insert(key.to_owned(), value.map_err(GoldenError::Answer)?);
    Ok(Value::Object(object))
}
