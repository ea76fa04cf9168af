//! All objects of one kind in one place, page by page, under one account.

use std::collections::BTreeMap;

use banhbaoring_api::plugin::NamespacedName;
use http::Request;
use kube::Client;
use serde_json::Value;

use super::{ApiError, JSON, Target, collection_path, is_segment, percent_encoded, within};
use crate::client::Clients;
use crate::discovery::{Discovery, ServedKind};

/// Objects that one page brings at most: what is parsed at a time.
const PAGE: u32 = 100;
/// The same of the host's own objects, whose size is known.
const PAGE_OF_HOST: u32 = 500;

/// Objects of a kind in a namespace, or of a cluster-scoped kind.
pub(crate) struct Collection {
    client: Client,
    account: Option<NamespacedName>,
    kind: ServedKind,
    namespace: Option<String>,
    limit: u32,
}

/// One page.
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// Where the next one begins, if there is one.
    pub(crate) next: Option<String>,
}

impl Collection {
    /// Finds out how the objects are addressed.
    pub(crate) async fn find(
        clients: &Clients,
        discovery: &Discovery,
        account: &NamespacedName,
        (api_version, kind): (&str, &str),
        namespace: Option<&str>,
    ) -> Result<Self, ApiError> {
        let kind = discovery.kind(api_version, kind).await?;
        if kind.namespaced != namespace.is_some() || !namespace.is_none_or(is_segment) {
            let expected = if kind.namespaced { "a namespace" } else { "no namespace" };
            return Err(ApiError::Address { message: format!("expected {expected} for kind {}, found {namespace:?}", kind.kind) });
        }
        let client = clients.acting_as(account)?;
        Ok(Self { client, account: Some(account.clone()), kind, namespace: namespace.map(ToOwned::to_owned), limit: PAGE })
    }

    /// Objects of the host's own, which it looks after with its own client.
    pub(crate) fn of_host(host: Client, kind: ServedKind, namespace: &str) -> Self {
        Self { client: host, account: None, kind, namespace: Some(namespace.to_owned()), limit: PAGE_OF_HOST }
    }

    /// One page of those that carry all the labels.
    pub(crate) async fn page(&self, labels: &BTreeMap<String, String>, from: Option<&str>) -> Result<Page, ApiError> {
        let target = Target {
            verb: "list",
            resource: self.kind.resource(),
            namespace: self.namespace.clone(),
            name: "*".to_owned(),
            account: self.account.clone(),
        };
        let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut uri = format!("{}?limit={}", collection_path(&self.kind, self.namespace.as_deref()), self.limit);
        for (name, value) in [("labelSelector", selector.join(",").as_str()), ("continue", from.unwrap_or_default())] {
            if !value.is_empty() {
                uri.push_str(&format!("&{name}={}", percent_encoded(value)));
            }
        }
        let request = Request::get(uri).header("accept", JSON).body(Vec::new());
        let request = request.map_err(|error| ApiError::Address { message: error.to_string() })?;
        let text = within(&target, self.client.request_text(request)).await?;
        let mut list: Value = serde_json::from_str(&text).map_err(|_| ApiError::Unreadable { target: target.to_string() })?;
        let next = list.pointer("/metadata/continue").and_then(Value::as_str).filter(|token| !token.is_empty()).map(ToOwned::to_owned);
        let items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        Ok(Page { items, next })
    }
}
