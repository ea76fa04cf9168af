//! Shared watches of children and of what needs ask about: one per kind and account where the account may watch all namespaces, else one per
//! namespace (`reach`); however many owners look there, kept as long as any does.
//!
//! Of children, Secrets excepted, it keeps what was seen last (`sightings`), so that an owner of which nothing changed costs no request; of what needs ask about it says
//! only that it changed. Whose child it is comes from the inventory, never from labels. The label selector of children only keeps other people's
//! objects off the wire: an object that loses the label is seen to go, which is a change like any other. `followers` keeps who looks at what.

mod followers;
mod reach;
mod sightings;
mod stream;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use banhbaoring_api::inventory::{ChildEntry, InventorySpec, OwnerReference};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::ObjectReference;
use kube::ResourceExt as _;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::client::Clients;
use crate::discovery::Discovery;
use crate::observe::Views;
use crate::sighting::{Sight, Sighting};
use followers::{Followers, Left, Place, Subject};
use reach::Reach;
use sightings::Sightings;

/// How long an owner waits at most for watches to tell what there is, before its children are asked for by name.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// Places of which nothing can be learnt at present.
    blind: HashSet<Place>,
    followers: Followers,
    sightings: Sightings,
    reach: Reach,
    /// Who is told, by kind of the owner.
    wakes: HashMap<String, mpsc::Sender<OwnerReference>>,
}

/// All watches of a host process. Cheap to clone.
#[derive(Clone)]
pub struct Watches {
    clients: Clients,
    discovery: Discovery,
    state: Arc<Mutex<State>>,
    /// Told when a watch has told everything, or cannot.
    settled: Arc<Notify>,
    /// Held while it is asked how far an account may look.
    asking: Arc<tokio::sync::Mutex<()>>,
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
        Self { clients, discovery, state: Arc::default(), settled: Arc::default(), asking: Arc::default() }
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

    /// Whether watches look at what the owner follows.
    pub fn is_following(&self, uid: &str) -> bool {
        let state = lock(&self.state);
        state.followers.places(uid).is_some_and(|places| places.iter().all(|place| state.tasks.contains_key(place.as_ref())))
    }

    /// Waits until the watches of an owner's children have told what there is, or cannot, but not for long.
    pub async fn settled(&self, uid: &str) {
        let settled = async {
            loop {
                let next = self.settled.notified();
                if lock(&self.state).is_settled(uid) {
                    return;
                }
                next.await;
            }
        };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            debug!("watches take long to begin; children are asked for by name");
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
        let watched: Vec<(&ChildEntry, Sight)> = children
            .into_iter()
            .flat_map(|(inventory, views)| inventory.children.iter().map(move |entry| (entry, views)))
            // Secrets are read by name: nobody gets the right to list them for the sake of a watch.
            .filter(|(entry, _)| !(entry.api_version == "v1" && entry.kind == "Secret"))
            .map(|(entry, views)| (entry, Sight::of(&entry.api_version, &entry.kind, views)))
            .collect();
        self.reach(watched.iter().map(|(entry, _)| *entry)).await;
        let asked = questions.iter().map(|Question { reference, account }| {
            let place = Place::new(&reference.api_version, &reference.kind, reference.namespace.clone(), account.clone(), None);
            (Subject::new(&reference.api_version, &reference.kind, reference.namespace.clone(), &reference.name), place)
        });
        let missing: Vec<Place> = {
            let mut state = lock(&self.state);
            let places = watched.iter().map(|(entry, sight)| (subject(entry), state.reach.place(entry, sight.clone()))).collect();
            let left = state.followers.follow(owner_kind, owner, places, asked.collect());
            state.leave(left);
            for (entry, _) in watched {
                state.claim(entry);
            }
            let places = state.followers.places(&owner.uid).into_iter().flatten();
            places.filter(|place| !state.tasks.contains_key(place.as_ref())).map(|place| place.as_ref().clone()).collect()
        };
        for place in missing {
            self.start(place).await;
        }
    }

    /// A child as its watch saw it last; absent where it has to be asked for.
    pub(crate) fn sighting(&self, entry: &ChildEntry, sight: &Sight) -> Option<Sighting> {
        let state = lock(&self.state);
        let subject = subject(entry);
        let (_, place) = state.followers.child(&subject)?;
        let is_for_it = place.is_of(&entry.account) && place.children.as_ref() == Some(sight);
        (is_for_it && state.sightings.exclusive(&subject) == entry.exclusive).then(|| state.sightings.get(place, &subject).cloned())?
    }

    /// The API server answered what a child is now. Its owner has to look once more where a watch has told of something newer.
    pub(crate) async fn looked(&self, entry: &ChildEntry, sighting: &Sighting) {
        let woken = {
            let mut state = lock(&self.state);
            match state.expect(entry) {
                Some(subject) if state.sightings.looked(subject.clone(), sighting.clone()) => state.followers_of(&subject),
                _ => Vec::new(),
            }
        };
        self.wake_all(woken).await;
    }

    /// These are about to be written: what watches tell of them is not believed until they are asked for again, and wakes nobody until then or until
    /// [`Watches::written`] is called.
    pub(crate) fn write(&self, references: &[ObjectReference]) {
        let mut state = lock(&self.state);
        for reference in references {
            if let Some(subject) = state.followers.subject(&subject_of(reference)) {
                state.sightings.write(subject);
            }
        }
    }

    /// These were written, or could not be: owners look again at what watches told and no answer covers.
    pub(crate) async fn written(&self, references: &[ObjectReference]) {
        let woken: Vec<_> = {
            let mut state = lock(&self.state);
            let mut woken = BTreeSet::new();
            for subject in references.iter().map(subject_of) {
                if state.sightings.written(&subject) {
                    woken.extend(state.followers_of(&subject));
                }
            }
            woken.into_iter().collect()
        };
        self.wake_all(woken).await;
    }

    async fn wake_all(&self, woken: Vec<(String, OwnerReference)>) {
        for (owner_kind, owner) in woken {
            self.wake(&owner_kind, &owner).await;
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
        let unwatched = |error: &dyn std::fmt::Display| {
            warn!(%error, "children cannot be watched");
            lock(&self.state).blind.insert(place.clone());
        };
        let client = match self.clients.acting_as(&place.account) {
            Ok(client) => client,
            Err(error) => return unwatched(&error),
        };
        let info = match self.discovery.kind(&place.api_version, &place.kind).await {
            Ok(info) => info,
            Err(error) => return unwatched(&error),
        };
        let (group, version) = place.api_version.split_once('/').unwrap_or(("", &place.api_version));
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, &place.kind), &info.plural);
        lock(&self.state).tasks.entry(place.clone()).or_insert_with(|| {
            debug!(kind = %place.kind, namespace = place.namespace.as_deref().unwrap_or("*"), "a watch starts");
            tokio::spawn(stream::run(client, resource, place, self.clone())).abort_handle()
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
            self.blind.remove(&place);
            if let Some(task) = self.tasks.remove(&place) {
                task.abort();
            }
        }
    }

    fn is_settled(&self, uid: &str) -> bool {
        let is_known = |place: &Place| place.children.is_none() || self.sightings.is_complete(place) || self.blind.contains(place);
        self.followers.places(uid).is_none_or(|places| places.iter().all(|place| is_known(place)))
    }

    /// A child is followed: whatever is known of it already is known of it.
    fn claim(&mut self, entry: &ChildEntry) {
        let Some(subject) = self.expect(entry) else { return };
        if let Some((_, place)) = self.followers.child(&subject) {
            self.sightings.claim(place, &subject);
        }
    }

    /// Which pointers of a child are its component's alone; returns the child as it is shared, if anybody follows it.
    fn expect(&mut self, entry: &ChildEntry) -> Option<Arc<Subject>> {
        let subject = self.followers.subject(&subject(entry))?;
        self.sightings.expect(&subject, &entry.exclusive);
        Some(subject)
    }

    /// Takes in what a watch tells; returns who has to look.
    fn told(&mut self, place: &Place, event: watcher::Event<DynamicObject>) -> Vec<(String, OwnerReference)> {
        let object = match &event {
            watcher::Event::Init => {
                self.sightings.begin(place);
                return Vec::new();
            }
            watcher::Event::InitDone => {
                self.blind.remove(place);
                self.sightings.complete(place, |subject| subject.is_at(place));
                // Answers may be older than the watch, and children may have changed while there was none.
                return self.followers.changed(place, None);
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) | watcher::Event::Delete(object) => object,
        };
        let subject = Subject::new(&place.api_version, &place.kind, object.namespace(), &object.name_any());
        if let Some(sight) = &place.children {
            let Some((shared, at)) = self.followers.child(&subject) else {
                let sighting = (!matches!(event, watcher::Event::Delete(_))).then(|| seen(object, sight, &[]));
                self.sightings.saw_unclaimed(place, subject, sighting);
                return Vec::new();
            };
            // Another watch tells of it.
            if at.as_ref() != place {
                return Vec::new();
            }
            let shared = shared.clone();
            let version = object.metadata.resource_version.as_deref().unwrap_or_default();
            let is_news = match &event {
                watcher::Event::Delete(_) => self.sightings.gone(&subject, version),
                _ => self.sightings.saw(place, shared, version, |exclusive| seen(object, sight, exclusive)),
            };
            if !is_news {
                return Vec::new();
            }
        }
        if matches!(event, watcher::Event::InitApply(_)) { Vec::new() } else { self.followers.changed(place, Some(&subject)) }
    }

    /// Owners of a child.
    fn followers_of(&mut self, subject: &Subject) -> Vec<(String, OwnerReference)> {
        let Some(place) = self.followers.child(subject).map(|(_, place)| place.clone()) else { return Vec::new() };
        self.followers.changed(&place, Some(subject))
    }

    /// Nothing can be learnt at a place now; where all namespaces were looked at and may not be, never again. Returns who has to look.
    fn lost(&mut self, place: &Place, is_forbidden: bool) -> Vec<(String, OwnerReference)> {
        self.blind.insert(place.clone());
        if !is_forbidden {
            return Vec::new();
        }
        self.sightings.end(place);
        if self.reach.narrow(place) {
            self.tasks.remove(place);
        }
        self.followers.changed(place, None)
    }
}

fn seen(object: &DynamicObject, sight: &Sight, exclusive: &[String]) -> Sighting {
    Sighting::of(&serde_json::to_value(object).unwrap_or_default(), sight, exclusive)
}

fn subject(entry: &ChildEntry) -> Subject {
    Subject::new(&entry.api_version, &entry.kind, entry.namespace.clone(), &entry.name)
}

fn subject_of(reference: &ObjectReference) -> Subject {
    Subject::new(&reference.api_version, &reference.kind, reference.namespace.clone(), &reference.name)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
