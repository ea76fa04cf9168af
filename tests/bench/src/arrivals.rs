//! When objects came and changed, as a watch of metadata tells: the same clock for the operator and for what it is compared with.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use banhbaoring_testing::wait;
use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

/// Longer than the API server keeps a watch open is refused.
const WATCH_SECONDS: u32 = 290;

#[derive(Debug, Default)]
struct Seen {
    /// First sight of every object, in order.
    came: Vec<Instant>,
    /// Last change by kind and name.
    changed: HashMap<(String, String), Instant>,
}

/// Watches the children of one namespace.
#[derive(Debug)]
pub(crate) struct Arrivals {
    seen: Arc<Mutex<Seen>>,
    watches: Vec<JoinHandle<()>>,
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

impl Arrivals {
    /// Begins; what is there already is not counted.
    pub(crate) async fn begin(client: &Client, namespace: &str) -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let watches = vec![
            watch::<ConfigMap>(client, namespace, &seen).await?,
            watch::<Service>(client, namespace, &seen).await?,
            watch::<ServiceAccount>(client, namespace, &seen).await?,
            watch::<Deployment>(client, namespace, &seen).await?,
        ];
        Ok(Self { seen, watches })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many have come.
    pub(crate) async fn until(&self, count: usize, deadline: Duration) -> Result<()> {
        wait::until(deadline, format!("{count} objects"), async || match self.seen().came.len() {
            come if come >= count => Ok(()),
            come => Err(format!("{come}")),
        })
        .await?;
        Ok(())
    }

    /// Seconds from the first to the last.
    pub(crate) fn span(&self) -> f64 {
        let seen = self.seen();
        match (seen.came.first(), seen.came.last()) {
            (Some(first), Some(last)) => last.duration_since(*first).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Objects by time since the first, thinned out for a plot.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let seen = self.seen();
        let Some(first) = seen.came.first() else { return Vec::new() };
        let step = (seen.came.len() / 200).max(1);
        seen.came
            .iter()
            .enumerate()
            .filter(|(index, _)| index % step == 0 || index + 1 == seen.came.len())
            .map(|(index, at)| (at.duration_since(*first).as_secs_f64(), (index + 1) as f64))
            .collect()
    }

    /// Waits until the object was changed after `since`; when that was.
    pub(crate) async fn until_changed(&self, kind: &str, name: &str, since: Instant, deadline: Duration) -> Result<Instant> {
        let key = (kind.to_owned(), name.to_owned());
        loop {
            if let Some(at) = self.seen().changed.get(&key).filter(|at| **at > since) {
                return Ok(*at);
            }
            if since.elapsed() > deadline {
                bail!("{kind} {name} did not change within {deadline:?}");
            }
            // The moment itself was noted when the watch told it; this only looks for it.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn watch<K>(client: &Client, namespace: &str, seen: &Arc<Mutex<Seen>>) -> Result<JoinHandle<()>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let there = api.list_metadata(&ListParams::default().limit(1)).await?;
    let mut version = there.metadata.resource_version.unwrap_or_default();
    let seen = seen.clone();
    let kind = K::kind(&()).into_owned();
    Ok(tokio::spawn(async move {
        loop {
            let Ok(events) = api.watch_metadata(&WatchParams::default().timeout(WATCH_SECONDS), &version).await else { continue };
            let mut events = std::pin::pin!(events);
            while let Some(Ok(event)) = events.next().await {
                let at = Instant::now();
                let (object, new) = match event {
                    WatchEvent::Added(object) => (object, true),
                    WatchEvent::Modified(object) | WatchEvent::Deleted(object) => (object, false),
                    WatchEvent::Bookmark(bookmark) => {
                        version = bookmark.metadata.resource_version;
                        continue;
                    }
                    WatchEvent::Error(_) => break,
                };
                version = object.resource_version().unwrap_or_default();
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if new {
                    seen.came.push(at);
                }
                seen.changed.insert((kind.clone(), object.name_any()), at);
            }
        }
    }))
}
