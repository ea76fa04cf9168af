//! Shared watches of children: one per kind, namespace and account, however many owners have children there, kept as long as any has.
//!
//! A watch brings metadata only and says that something of an owner changed; what changed is then observed by name. Whose child it is comes from
//! the inventory, by uid or, for what is made again under its name, by name; never from labels. The label selector only keeps other people's
//! objects off the wire: an object that loses the label is seen to go, which is a change like any other.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::plan::{MANAGED_BY, MANAGED_BY_LABEL};
use futures::StreamExt as _;
use kube::core::{ApiResource, GroupVersionKind, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::client::Clients;
use crate::discovery::Discovery;

/// What one watch looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    account: NamespacedName,
}

/// Where a child is, whatever its uid.
type Named = (String, Option<String>, String);

/// Whose a child is.
#[derive(Debug, Clone)]
struct Belongs {
    owner: OwnerReference,
    owner_kind: String,
}

#[derive(Default)]
struct State {
    tasks: HashMap<Place, AbortHandle>,
    /// Places of every owner, by uid.
    places: HashMap<String, BTreeSet<Place>>,
    /// Owners of children: by kind, namespace and name of the child.
    children: HashMap<Named, Belongs>,
    /// Children of every owner, so that it can be forgotten.
    named: HashMap<String, BTreeSet<Named>>,
    /// Who is told, by kind of the owner.
    wakes: HashMap<String, mpsc::Sender<OwnerReference>>,
}

/// All watches of a host process. Cheap to clone.
#[derive(Clone)]
pub struct Watches {
    clients: Clients,
    discovery: Discovery,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watches").field("watches", &self.len()).finish()
    }
}

/// Ends with the controller that asked for it.
pub struct Subscription {
    state: Arc<Mutex<State>>,
    owner_kind: String,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.state).wakes.remove(&self.owner_kind);
    }
}

impl Watches {
    /// No watch yet.
    pub fn new(clients: Clients, discovery: Discovery) -> Self {
        Self { clients, discovery, state: Arc::default() }
    }

    /// From now on `wake` is told which owners of `owner_kind` (`group/Kind`) had a child change.
    #[must_use = "the subscription ends when it is dropped"]
    pub fn subscribe(&self, owner_kind: &str, wake: mpsc::Sender<OwnerReference>) -> Subscription {
        lock(&self.state).wakes.insert(owner_kind.to_owned(), wake);
        Subscription { state: self.state.clone(), owner_kind: owner_kind.to_owned() }
    }

    /// Watches the children in an inventory from now on, and no longer those that were in it before.
    pub async fn follow(&self, owner_kind: &str, inventory: &InventorySpec) {
        let owner = &inventory.owner;
        let mut places = BTreeSet::new();
        let mut named = BTreeSet::new();
        for entry in &inventory.children {
            named.insert((entry.kind.clone(), entry.namespace.clone(), entry.name.clone()));
            places.insert(Place {
                api_version: entry.api_version.clone(),
                kind: entry.kind.clone(),
                namespace: entry.namespace.clone(),
                account: entry.account(),
            });
        }
        let missing: Vec<Place> = {
            let mut state = lock(&self.state);
            if let Some(before) = state.named.insert(owner.uid.clone(), named.clone()) {
                before.difference(&named).for_each(|gone| drop(state.children.remove(gone)));
            }
            for child in named {
                state.children.insert(child, Belongs { owner: owner.clone(), owner_kind: owner_kind.to_owned() });
            }
            state.places.insert(owner.uid.clone(), places.clone());
            release(&mut state);
            places.into_iter().filter(|place| !state.tasks.contains_key(place)).collect()
        };
        for place in missing {
            self.start(place).await;
        }
    }

    /// An owner is gone.
    pub fn forget(&self, uid: &str) {
        let mut state = lock(&self.state);
        for child in state.named.remove(uid).unwrap_or_default() {
            state.children.remove(&child);
        }
        state.places.remove(uid);
        release(&mut state);
    }

    /// How many watches there are.
    pub fn len(&self) -> usize {
        lock(&self.state).tasks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn start(&self, place: Place) {
        let client = match self.clients.acting_as(&place.account) {
            Ok(client) => client,
            Err(error) => return warn!(%error, "children cannot be watched"),
        };
        let info = match self.discovery.kind(&place.api_version, &place.kind).await {
            Ok(info) => info,
            Err(error) => return warn!(%error, "children cannot be watched"),
        };
        let (group, version) = place.api_version.split_once('/').unwrap_or(("", &place.api_version));
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, &place.kind), &info.plural);
        lock(&self.state).tasks.entry(place.clone()).or_insert_with(|| {
            debug!(kind = %place.kind, namespace = place.namespace.as_deref().unwrap_or("*"), "a watch starts");
            tokio::spawn(run(client, resource, place, self.state.clone())).abort_handle()
        });
    }
}

/// Ends watches that no owner has children in.
fn release(state: &mut State) {
    let wanted: BTreeSet<&Place> = state.places.values().flatten().collect();
    state.tasks.retain(|place, task| {
        let keep = wanted.contains(place);
        if !keep {
            task.abort();
        }
        keep
    });
}

async fn run(client: Client, resource: ApiResource, place: Place, state: Arc<Mutex<State>>) {
    let api: Api<PartialObjectMeta<kube::core::DynamicObject>> = match &place.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let config = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        let object = match event {
            // What is there at the start was observed by name already; what changed meanwhile is found by the next look.
            Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => object,
            Ok(_) => continue,
            Err(error) => {
                warn!(%error, kind = %place.kind, "children cannot be watched; trying again");
                continue;
            }
        };
        let named = (place.kind.clone(), place.namespace.clone(), object.name_any());
        let woken = {
            let state = lock(&state);
            state.children.get(&named).and_then(|belongs| Some((state.wakes.get(&belongs.owner_kind)?.clone(), belongs.owner.clone())))
        };
        if let Some((wake, owner)) = woken
            && wake.send(owner).await.is_err()
        {
            debug!("nobody listens any more");
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
