//! Shared watches of children and of what needs ask about: one per kind, namespace and account, however many owners look there, kept as long as
//! any does.
//!
//! Of children, Secrets excepted, it keeps what was seen last (`sightings`), so that an owner of which nothing changed costs no request; of what needs ask about it says
//! only that it changed. Whose child it is comes from the inventory, never from labels. The label selector of children only keeps other people's
//! objects off the wire: an object that loses the label is seen to go, which is a change like any other. `followers` keeps who looks at what.

mod followers;
mod sightings;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banhbaoring_api::inventory::{ChildEntry, InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::ObjectReference;
use banhbaoring_pipeline::plan::{MANAGED_BY, MANAGED_BY_LABEL};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::client::Clients;
use crate::discovery::Discovery;
use crate::observe::Views;
use crate::sighting::{Sight, Sighting};
use followers::{Followers, Left, Place, Subject};
use sightings::Sightings;

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
    sightings: Sightings,
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
    pub async fn follow(
        &self,
        owner_kind: &str,
        owner: &OwnerReference,
        children: Option<(&InventorySpec, &Views)>,
        questions: &[Question],
    ) {
        let mut followed = BTreeMap::new();
        if let Some((inventory, views)) = children {
            // Secrets are read by name: nobody gets the right to list them for the sake of a watch.
            let watched = inventory.children.iter().filter(|entry| !(entry.api_version == "v1" && entry.kind == "Secret"));
            followed.extend(watched.map(|entry| (subject(entry), child_place(entry, Sight::of(&entry.api_version, &entry.kind, views)))));
        }
        let asked = questions.iter().map(|Question { reference, account }| {
            let place = Place::new(&reference.api_version, &reference.kind, reference.namespace.clone(), account.clone(), None);
            (Subject::new(&reference.api_version, &reference.kind, reference.namespace.clone(), &reference.name), place)
        });
        let missing: Vec<Place> = {
            let mut state = lock(&self.state);
            let left = state.followers.follow(owner_kind, owner, followed, asked.collect());
            state.leave(left);
            state.followers.places(&owner.uid).filter(|place| !state.tasks.contains_key(place)).cloned().collect()
        };
        for place in missing {
            self.start(place).await;
        }
    }

    /// A child as its watch saw it last; absent where it has to be asked for.
    pub(crate) fn sighting(&self, entry: &ChildEntry, sight: &Sight) -> Option<Sighting> {
        if !entry.exclusive.is_empty() {
            return None;
        }
        let place = child_place(entry, sight.clone());
        lock(&self.state).sightings.get(&place, &subject(entry)).cloned()
    }

    /// A child was asked for by name.
    pub(crate) fn looked(&self, entry: &ChildEntry, sighting: &Sighting) {
        let mut state = lock(&self.state);
        if let Some(subject) = state.followers.subject(&subject(entry)) {
            state.sightings.looked(subject, sighting.clone());
        }
    }

    /// These are about to be written: what watches tell of them is not believed until they are asked for again.
    pub(crate) fn write(&self, references: &[ObjectReference]) {
        let mut state = lock(&self.state);
        for reference in references {
            let subject = Subject::new(&reference.api_version, &reference.kind, reference.namespace.clone(), &reference.name);
            let subject = state.followers.subject(&subject).unwrap_or_else(|| Arc::new(subject));
            state.sightings.write(subject);
        }
    }

    /// Whether something that a need of the owner's asks about changed since this was last asked.
    pub fn take_changed(&self, uid: &str) -> bool {
        lock(&self.state).followers.take_changed(uid)
    }

    /// An owner is gone.
    pub fn forget(&self, uid: &str) {
        let mut state = lock(&self.state);
        let left = state.followers.forget(uid);
        state.leave(left);
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

impl State {
    fn leave(&mut self, left: Left) {
        for subject in left.subjects {
            self.sightings.forget(&subject);
        }
        for place in left.places {
            self.sightings.end(&place);
            if let Some(task) = self.tasks.remove(&place) {
                task.abort();
            }
        }
    }

    /// Takes in what a watch tells; returns who has to look.
    fn told(&mut self, place: &Place, event: watcher::Event<DynamicObject>) -> Vec<(String, OwnerReference)> {
        let name = match &event {
            watcher::Event::Init => {
                self.sightings.begin(place);
                return Vec::new();
            }
            watcher::Event::InitDone => {
                self.sightings.complete(place, |subject| subject.is_at(place));
                // Answers may be older than the watch, and children may have changed while there was none.
                return self.followers.changed(place, None);
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) | watcher::Event::Delete(object) => object.name_any(),
        };
        let subject = Subject::new(&place.api_version, &place.kind, place.namespace.clone(), &name);
        // Other people's objects, and children that nobody has any more, are not kept.
        let shared = self.followers.subject(&subject);
        match (event, &place.children, shared) {
            (watcher::Event::Delete(object), Some(_), _) => {
                self.sightings.gone(&subject, object.metadata.resource_version.as_deref().unwrap_or_default());
            }
            (watcher::Event::InitApply(object), Some(sight), Some(shared)) => {
                self.sightings.saw(place, shared, seen(&object, sight));
                return Vec::new();
            }
            (watcher::Event::Apply(object), Some(sight), Some(shared)) => self.sightings.saw(place, shared, seen(&object, sight)),
            (watcher::Event::InitApply(_), ..) => return Vec::new(),
            _ => {}
        }
        self.followers.changed(place, Some(&name))
    }
}

fn seen(object: &DynamicObject, sight: &Sight) -> Sighting {
    Sighting::of(&serde_json::to_value(object).unwrap_or_default(), sight)
}

fn subject(entry: &ChildEntry) -> Subject {
    Subject::new(&entry.api_version, &entry.kind, entry.namespace.clone(), &entry.name)
}

fn child_place(entry: &ChildEntry, sight: Sight) -> Place {
    Place::new(&entry.api_version, &entry.kind, entry.namespace.clone(), entry.account(), Some(sight))
}

async fn run(client: Client, resource: ApiResource, place: Place, watches: Watches) {
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
        let woken = match event {
            Ok(event) => lock(&watches.state).told(&place, event),
            Err(error) => {
                warn!(%error, kind = %place.kind, "objects cannot be watched; trying again");
                continue;
            }
        };
        for (owner_kind, owner) in woken {
            watches.wake(&owner_kind, &owner).await;
        }
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

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
