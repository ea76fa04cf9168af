//! Shared watches of children and of what needs ask about: one per kind, namespace and account, however many owners look there, kept as long as
//! any does.
//!
//! A watch brings metadata only and says that something of an owner changed; what changed is then observed by name. Whose child it is comes from
//! the inventory, never from labels. The label selector of children only keeps other people's objects off the wire: an object that loses the label
//! is seen to go, which is a change like any other. `followers` keeps who looks at what.

mod followers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banhbaoring_api::inventory::{InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::ObjectReference;
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
use followers::{Followers, Place, Subject};

/// What an owner's need wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// An object, or all of its kind where the name is empty.
    pub reference: ObjectReference,
    /// Who asks.
    pub account: NamespacedName,
}

#[derive(Default)]
struct State {
    tasks: HashMap<Place, AbortHandle>,
    followers: Followers,
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

    /// From now on `wake` is told which owners of `owner_kind` (`group/Kind`) have to be looked at.
    #[must_use = "the subscription ends when it is dropped"]
    pub fn subscribe(&self, owner_kind: &str, wake: mpsc::Sender<OwnerReference>) -> Subscription {
        lock(&self.state).wakes.insert(owner_kind.to_owned(), wake);
        Subscription { state: self.state.clone(), owner_kind: owner_kind.to_owned() }
    }

    /// Has an owner looked at, if its kind still has a controller.
    pub async fn wake(&self, owner_kind: &str, owner: &OwnerReference) {
        let wake = lock(&self.state).wakes.get(owner_kind).cloned();
        if let Some(wake) = wake
            && wake.send(owner.clone()).await.is_err()
        {
            debug!("nobody listens any more");
        }
    }

    /// Watches these children and these objects for an owner from now on, and no longer what it followed before.
    pub async fn follow(&self, owner_kind: &str, owner: &OwnerReference, children: Option<&InventorySpec>, questions: &[Question]) {
        let entries = children.into_iter().flat_map(|inventory| &inventory.children);
        let children = entries.map(|entry| {
            let place = Place::new(&entry.api_version, &entry.kind, entry.namespace.clone(), entry.account(), true);
            (Subject::new(&entry.api_version, &entry.kind, entry.namespace.clone(), &entry.name), place)
        });
        let asked = questions.iter().map(|Question { reference, account }| {
            let place = Place::new(&reference.api_version, &reference.kind, reference.namespace.clone(), account.clone(), false);
            (Subject::new(&reference.api_version, &reference.kind, reference.namespace.clone(), &reference.name), place)
        });
        let missing: Vec<Place> = {
            let mut state = lock(&self.state);
            let unused = state.followers.follow(owner_kind, owner, children.collect(), asked.collect());
            end(&mut state, &unused);
            state.followers.places(&owner.uid).filter(|place| !state.tasks.contains_key(place)).cloned().collect()
        };
        for place in missing {
            self.start(place).await;
        }
    }

    /// Whether something that a need of the owner's asks about changed since this was last asked.
    pub fn take_changed(&self, uid: &str) -> bool {
        lock(&self.state).followers.take_changed(uid)
    }

    /// An owner is gone.
    pub fn forget(&self, uid: &str) {
        let mut state = lock(&self.state);
        let unused = state.followers.forget(uid);
        end(&mut state, &unused);
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
            tokio::spawn(run(client, resource, place, self.clone())).abort_handle()
        });
    }
}

fn end(state: &mut State, unused: &[Place]) {
    for place in unused {
        if let Some(task) = state.tasks.remove(place) {
            task.abort();
        }
    }
}

async fn run(client: Client, resource: ApiResource, place: Place, watches: Watches) {
    let api: Api<PartialObjectMeta<kube::core::DynamicObject>> = match &place.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let mut config = watcher::Config::default();
    if place.children_only {
        config = config.labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    }
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        let name = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => Some(object.name_any()),
            // Children were observed by name when this began, and answers may be older than that.
            Ok(watcher::Event::InitDone) if !place.children_only => None,
            Ok(_) => continue,
            Err(error) => {
                warn!(%error, kind = %place.kind, "objects cannot be watched; trying again");
                continue;
            }
        };
        let woken = lock(&watches.state).followers.changed(&place, name.as_deref());
        for (owner_kind, owner) in woken {
            watches.wake(&owner_kind, &owner).await;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
