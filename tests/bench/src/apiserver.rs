//! What the API server was asked, by its own counters. Nobody's requests are told apart: whoever compares two moments keeps others still.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kube::Client;

/// Resources that are no matter of owners; the empty one is that of paths like `/metrics`.
const BESIDE: [&str; 6] = ["", "customresourcedefinitions", "leases", "pluginpolicies", "plugins", "secrets"];

/// Requests so far, by verb and resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(BTreeMap<(String, String), u64>);

impl Requests {
    /// As the API server counts them now.
    pub(crate) async fn now(client: &Client) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = client.request_text(request).await.context("the API server's metrics")?;
        let mut counted = BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let (labels, value) = line.rsplit_once("} ").context("a counter")?;
            let label = |name: &str| {
                let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
                labels[start..].split_once('"').map(|(value, _)| value.to_owned())
            };
            let key = (label("verb").unwrap_or_default(), label("resource").unwrap_or_default());
            *counted.entry(key).or_default() += value.trim().parse::<f64>()? as u64;
        }
        Ok(Self(counted))
    }

    /// What was asked since `before`, without what does not concern owners: leases, plugins and their definitions, and these very looks.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let differences = self.0.iter().filter_map(|(key, count)| {
            let asked = count - before.0.get(key).copied().unwrap_or_default();
            (asked > 0 && !BESIDE.contains(&key.1.as_str())).then(|| (key.clone(), asked))
        });
        Self(differences.collect())
    }

    /// Requests that change something.
    pub(crate) fn writes(&self) -> u64 {
        self.sum(is_write)
    }

    /// Requests that read something; a watch that is opened again counts. Lists of stacks are the benchmark's own, but for one at a start.
    pub(crate) fn reads(&self) -> u64 {
        self.sum(|verb, resource| !is_write(verb, resource) && (verb, resource) != ("LIST", "stacks"))
    }

    /// Reads of single objects: what grows with the owners. Lists belong to the start of a process.
    pub(crate) fn gets(&self) -> u64 {
        self.sum(|verb, _| verb == "GET")
    }

    /// Writes of the resources of children.
    pub(crate) fn child_writes(&self) -> u64 {
        let children = ["configmaps", "deployments", "serviceaccounts", "services"];
        self.sum(|verb, resource| is_write(verb, resource) && children.contains(&resource))
    }

    fn sum(&self, wanted: impl Fn(&str, &str) -> bool) -> u64 {
        self.0.iter().filter(|((verb, resource), _)| wanted(verb, resource)).map(|(_, count)| count).sum()
    }

    /// `APPLY configmaps 8000, …`, the most first.
    pub(crate) fn told(&self) -> String {
        let mut counted: Vec<_> = self.0.iter().collect();
        counted.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), *key));
        let told: Vec<String> = counted.iter().map(|((verb, resource), count)| format!("{verb} {resource} {count}")).collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    }
}

/// A review is posted and stores nothing: it asks what an account may do.
fn is_write(verb: &str, resource: &str) -> bool {
    matches!(verb, "APPLY" | "DELETE" | "PATCH" | "POST" | "PUT") && resource != "selfsubjectaccessreviews"
}
