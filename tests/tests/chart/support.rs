//! What the tests of this binary share: values, and the chart rendered with them.

use banhbaoring_testing::scratch::Scratch;
use banhbaoring_tests::helm::{Helm, chart, documents};
use serde_json::{Value, json};

pub(crate) const RELEASE: &str = "banhbaoring";
pub(crate) const NAMESPACE: &str = "banhbaoring-system";
pub(crate) const ACCOUNT: &str = "banhbaoring-operator";

/// A key that signs nothing.
pub(crate) const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";

/// Values with which Plugins are rendered.
pub(crate) fn with_plugins() -> Value {
    json!({"firstParty": {"registry": "registry.example.com/banhbaoring"}, "releaseKey": {"data": KEY}})
}

/// The chart as `helm template` renders it.
pub(crate) async fn render(values: &Value, more: &[&str]) -> anyhow::Result<Vec<Value>> {
    let scratch = Scratch::new("values")?;
    let file = scratch.write("values.json", values.to_string())?.display().to_string();
    let chart = chart().display().to_string();
    let arguments = [&["template", RELEASE, &chart, "--namespace", NAMESPACE, "-f", &file], more].concat();
    documents(&Helm::new(None)?.run(&arguments).await?)
}

/// Those of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}
