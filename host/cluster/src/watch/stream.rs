//! One watch as it runs: what the API server sends, handed to the bookkeeping, and owners woken. What it means is the parent's.

use banhbaoring_pipeline::plan::{MANAGED_BY, MANAGED_BY_LABEL};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tracing::warn;

use super::followers::Place;
use super::{Watches, lock};

/// Runs until it is aborted, or may not look at all namespaces any more.
pub(super) async fn run(client: Client, resource: ApiResource, place: Place, watches: Watches) {
    let mut config = watcher::Config::default();
    if place.children.is_some() {
        config = config.labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    }
    // Whole objects only where something of them is needed: the rest, Secrets first of all, never leaves the API server.
    let mut events = if place.children.as_ref().is_some_and(|sight| sight.whole) {
        watcher(api::<DynamicObject>(client, &resource, &place), config).default_backoff().boxed()
    } else {
        let metadata = api::<PartialObjectMeta<DynamicObject>>(client, &resource, &place);
        watcher(metadata, config).default_backoff().map_ok(widened).boxed()
    };
    while let Some(event) = events.next().await {
        let (woken, is_news) = match event {
            Ok(event) => {
                let is_news = matches!(event, watcher::Event::InitDone);
                (lock(&watches.state).told(&place, event), is_news)
            }
            Err(error) => {
                warn!(%error, kind = %place.kind, "objects cannot be watched; trying again");
                (lock(&watches.state).lost(&place, is_forbidden(&error)), true)
            }
        };
        if is_news {
            watches.settled.notify_waiters();
        }
        watches.wake_all(woken).await;
        if !lock(&watches.state).tasks.contains_key(&place) {
            return;
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
            status.code == 403
        }
        watcher::Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}

fn api<K>(client: Client, resource: &ApiResource, place: &Place) -> Api<K>
where
    K: kube::Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope>,
{
    match &place.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}

fn widened(event: watcher::Event<PartialObjectMeta<DynamicObject>>) -> watcher::Event<DynamicObject> {
    let whole = |object: PartialObjectMeta<DynamicObject>| DynamicObject {
        types: object.types,
        metadata: object.metadata,
        data: serde_json::Value::Null,
    };
    match event {
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
        watcher::Event::InitApply(object) => watcher::Event::InitApply(whole(object)),
        watcher::Event::Apply(object) => watcher::Event::Apply(whole(object)),
        watcher::Event::Delete(object) => watcher::Event::Delete(whole(object)),
    }
}
