//! Who looks at what: which owners have children or questions where, and which watches nobody needs any more. Only bookkeeping, no I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use banhbaoring_api::inventory::OwnerReference;
use banhbaoring_api::plugin::NamespacedName;

use crate::sighting::Sight;

/// What one watch looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) account: NamespacedName,
    /// Of children, which carry the host's label: how much of them is looked at. Absent: everything there, and only that it changes.
    pub(super) children: Option<Sight>,
}

impl Place {
    pub(super) fn new(api_version: &str, kind: &str, namespace: Option<String>, account: NamespacedName, children: Option<Sight>) -> Self {
        Self { api_version: api_version.to_owned(), kind: kind.to_owned(), namespace, account, children }
    }

    /// Whether it is looked at with this account, `namespace/name`.
    pub(super) fn is_of(&self, account: &str) -> bool {
        account.split_once('/') == Some((&self.account.namespace, &self.account.name))
    }
}

/// What an owner looks at: an object, whatever its uid, or with an empty name all objects there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Subject {
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

impl Subject {
    pub(super) fn new(api_version: &str, kind: &str, namespace: Option<String>, name: &str) -> Self {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self { group: group.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() }
    }

    pub(super) fn is_at(&self, place: &Place) -> bool {
        let group = place.api_version.split_once('/').map_or("", |(group, _)| group);
        self.kind == place.kind && (place.namespace.is_none() || self.namespace == place.namespace) && self.group == group
    }
}

#[derive(Debug, Default)]
struct Follower {
    kind: String,
    owner: OwnerReference,
    places: BTreeSet<Arc<Place>>,
    /// With the place whose watch tells of them.
    children: BTreeMap<Arc<Subject>, Arc<Place>>,
    asked: BTreeSet<Arc<Subject>>,
    /// Something that it asked about changed.
    changed: bool,
}

/// What an owner no longer looks at.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Left {
    /// Places where nobody looks any more.
    pub(super) places: Vec<Place>,
    /// Subjects at which nobody looks any more, or in another way than before.
    pub(super) subjects: Vec<Arc<Subject>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Followers {
    by_uid: HashMap<Arc<str>, Follower>,
    /// Uids of owners that look at a subject: of a child one.
    by_subject: HashMap<Arc<Subject>, Vec<Arc<str>>>,
    /// Owners per place, so that the last one ends its watch.
    users: HashMap<Arc<Place>, usize>,
}

impl Followers {
    /// From now on the owner looks at these, and no longer at what it looked at before.
    pub(super) fn follow(
        &mut self,
        kind: &str,
        owner: &OwnerReference,
        children: BTreeMap<Subject, Place>,
        asked: BTreeMap<Subject, Place>,
    ) -> Left {
        let before = self.by_uid.get(owner.uid.as_str());
        let is_same = |before: &Follower| {
            before.children.iter().map(|(subject, place)| (subject.as_ref(), place.as_ref())).eq(&children)
                && before.asked.iter().map(AsRef::as_ref).eq(asked.keys())
                && asked.values().all(|place| before.places.contains(place))
        };
        if before.map_or(children.is_empty() && asked.is_empty(), is_same) {
            return Left::default();
        }
        let changed = before.is_some_and(|before| before.changed);
        let places: BTreeSet<Arc<Place>> = children.values().chain(asked.values()).map(|place| self.shared(place)).collect();
        for place in &places {
            *self.users.entry(place.clone()).or_default() += 1;
        }
        let mut left = self.forget(&owner.uid);
        let uid: Arc<str> = Arc::from(owner.uid.as_str());
        let children: BTreeMap<Arc<Subject>, Arc<Place>> =
            children.into_iter().map(|(subject, place)| (Arc::new(subject), self.shared(&place))).collect();
        let asked: BTreeSet<Arc<Subject>> = asked.into_keys().map(Arc::new).collect();
        for subject in children.keys().chain(&asked) {
            let uids = self.by_subject.entry(subject.clone()).or_default();
            if !uids.contains(&uid) {
                uids.push(uid.clone());
            }
        }
        // Where it looks at the same subjects at the same places, what was seen of them stays.
        if left.places.is_empty() {
            left.subjects.retain(|subject| !self.by_subject.contains_key(subject));
        }
        let follower = Follower { kind: kind.to_owned(), owner: owner.clone(), places, children, asked, changed };
        self.by_uid.insert(uid, follower);
        left
    }

    fn shared(&self, place: &Place) -> Arc<Place> {
        self.users.get_key_value(place).map_or_else(|| Arc::new(place.clone()), |(shared, _)| shared.clone())
    }

    /// Where an owner looks; absent for one that does not.
    pub(super) fn places(&self, uid: &str) -> Option<&BTreeSet<Arc<Place>>> {
        self.by_uid.get(uid).map(|follower| &follower.places)
    }

    /// The subject as it is shared, if anybody looks at it.
    pub(super) fn subject(&self, subject: &Subject) -> Option<Arc<Subject>> {
        self.by_subject.get_key_value(subject).map(|(shared, _)| shared.clone())
    }

    /// The child as it is shared, and the place whose watch tells of it.
    pub(super) fn child(&self, subject: &Subject) -> Option<(&Arc<Subject>, &Arc<Place>)> {
        let uids = self.by_subject.get(subject)?;
        uids.iter().find_map(|uid| self.by_uid.get(uid)?.children.get_key_value(subject))
    }

    /// The owner looks nowhere any more.
    pub(super) fn forget(&mut self, uid: &str) -> Left {
        let Some(follower) = self.by_uid.remove(uid) else { return Left::default() };
        let mut left = Left::default();
        for subject in follower.children.keys().chain(&follower.asked) {
            let Some(uids) = self.by_subject.get_mut(subject) else { continue };
            uids.retain(|other| other.as_ref() != uid);
            if uids.is_empty() {
                self.by_subject.remove(subject);
                left.subjects.push(subject.clone());
            }
        }
        for place in follower.places {
            let users = self.users.get_mut(&place).map_or(0, |users| {
                *users -= 1;
                *users
            });
            if users == 0 {
                self.users.remove(&place);
                left.places.push(place.as_ref().clone());
            }
        }
        left
    }

    /// Something at a place changed: an object, or, where none is named, possibly all. Returns who has to be told, with the kinds of the owners.
    pub(super) fn changed(&mut self, place: &Place, object: Option<&Subject>) -> Vec<(String, OwnerReference)> {
        let all = Subject::new(&place.api_version, &place.kind, place.namespace.clone(), "");
        let uids: BTreeSet<Arc<str>> = match object {
            Some(object) => [object, &all].iter().filter_map(|subject| self.by_subject.get(*subject)).flatten().cloned().collect(),
            None => self.by_uid.iter().filter(|(_, follower)| follower.places.contains(place)).map(|(uid, _)| uid.clone()).collect(),
        };
        let mut told = Vec::new();
        for uid in uids {
            let Some(follower) = self.by_uid.get_mut(&uid) else { continue };
            let asked = |object: &Subject| follower.asked.contains(object) || follower.asked.contains(&all);
            follower.changed |= object.map_or(place.children.is_none(), asked);
            told.push((follower.kind.clone(), follower.owner.clone()));
        }
        told
    }

    /// Whether something that the owner asked about changed since this was last asked.
    pub(super) fn take_changed(&mut self, uid: &str) -> bool {
        self.by_uid.get_mut(uid).is_some_and(|follower| std::mem::take(&mut follower.changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference { uid: uid.to_owned(), name: uid.to_owned(), ..OwnerReference::default() }
    }

    fn place(kind: &str, children_only: bool) -> Place {
        let account = NamespacedName { namespace: "system".to_owned(), name: "plugin".to_owned() };
        let sight = children_only.then(|| Sight::of("v1", kind, &crate::observe::Views::new()));
        Place::new("v1", kind, Some("team".to_owned()), account, sight)
    }

    fn subject(kind: &str, name: &str) -> Subject {
        Subject::new("v1", kind, Some("team".to_owned()), name)
    }

    fn at(kind: &str, name: &str, children_only: bool) -> BTreeMap<Subject, Place> {
        BTreeMap::from([(subject(kind, name), place(kind, children_only))])
    }

    fn names(told: Vec<(String, OwnerReference)>) -> Vec<String> {
        told.into_iter().map(|(_, owner)| owner.name).collect()
    }

    #[test]
    fn who_has_a_child_there_is_told_and_nobody_else() {
        let mut followers = Followers::default();
        followers.follow("k", &owner("a"), at("Service", "x", true), BTreeMap::new());
        followers.follow("k", &owner("b"), at("Service", "y", true), BTreeMap::new());
        assert_eq!(names(followers.changed(&place("Service", true), Some(&subject("Service", "x")))), ["a"]);
        assert!(!followers.take_changed("a"), "a child is no answer");
        assert!(followers.changed(&place("Pod", true), Some(&subject("Pod", "x"))).is_empty());
    }

    #[test]
    fn all_who_ask_about_an_object_are_told_once_and_their_answers_are_old() {
        let mut followers = Followers::default();
        followers.follow("k", &owner("a"), BTreeMap::new(), at("Pod", "x", false));
        followers.follow("k", &owner("b"), BTreeMap::new(), at("Pod", "", false));
        followers.follow("k", &owner("c"), BTreeMap::new(), at("Pod", "z", false));
        assert_eq!(names(followers.changed(&place("Pod", false), Some(&subject("Pod", "x")))), ["a", "b"]);
        assert!(followers.take_changed("a") && followers.take_changed("b") && !followers.take_changed("c"));
        assert!(!followers.take_changed("a"), "told once");
        assert_eq!(names(followers.changed(&place("Pod", false), None)).len(), 3);
    }

    #[test]
    fn a_change_is_not_lost_when_the_owner_asks_something_else_meanwhile() {
        let mut followers = Followers::default();
        followers.follow("k", &owner("a"), BTreeMap::new(), at("Pod", "x", false));
        followers.changed(&place("Pod", false), Some(&subject("Pod", "x")));
        followers.follow("k", &owner("a"), at("Service", "s", true), at("Pod", "x", false));
        assert!(followers.take_changed("a"));
    }

    #[test]
    fn the_last_owner_ends_the_watch() {
        let mut followers = Followers::default();
        assert_eq!(followers.follow("k", &owner("a"), at("Service", "x", true), BTreeMap::new()), Left::default());
        assert_eq!(followers.follow("k", &owner("b"), at("Service", "y", true), BTreeMap::new()), Left::default());
        let left = followers.follow("k", &owner("a"), at("Service", "x2", true), BTreeMap::new());
        assert_eq!((left.places, left.subjects.len()), (vec![], 1), "it still looks there, at another one");
        assert_eq!(followers.forget("a").places, []);
        assert_eq!(followers.follow("k", &owner("b"), at("Pod", "y", true), BTreeMap::new()).places, [place("Service", true)]);
        assert_eq!(followers.forget("b").places, [place("Pod", true)]);
        assert!(followers.by_subject.is_empty() && followers.users.is_empty());
    }
}
