//! Children as their watches saw them last. What is not here, or may be older than what we wrote, is asked for by name. Only bookkeeping, no I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::followers::{Place, Subject};
use crate::sighting::Sighting;

#[derive(Debug)]
enum Kept {
    Seen(Box<Sighting>),
    /// We write it: until it is asked for, nobody knows whether what the watch says is older.
    Unsure,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    objects: HashMap<Arc<Subject>, Kept>,
    /// Watches that have told everything there was, at least once.
    complete: HashSet<Place>,
    /// What a watch that begins again has told so far.
    listed: HashMap<Place, HashSet<Arc<Subject>>>,
}

impl Sightings {
    /// What is known of an object at a place, if it is known.
    pub(super) fn get(&self, place: &Place, subject: &Subject) -> Option<&Sighting> {
        match self.objects.get(subject) {
            Some(Kept::Seen(sighting)) if self.complete.contains(place) => Some(sighting),
            _ => None,
        }
    }

    /// The watch of a place begins, maybe again.
    pub(super) fn begin(&mut self, place: &Place) {
        self.listed.insert(place.clone(), HashSet::new());
    }

    /// The watch of a place has told everything that is there: what it did not tell is gone. `at` says whether a subject is at the place.
    pub(super) fn complete(&mut self, place: &Place, at: impl Fn(&Subject) -> bool) {
        let listed = self.listed.remove(place).unwrap_or_default();
        self.objects.retain(|subject, kept| matches!(kept, Kept::Unsure) || !at(subject) || listed.contains(subject));
        self.complete.insert(place.clone());
    }

    /// A watch saw an object.
    pub(super) fn saw(&mut self, place: &Place, subject: Arc<Subject>, sighting: Sighting) {
        if let Some(listed) = self.listed.get_mut(place) {
            listed.insert(subject.clone());
        }
        match self.objects.get(&subject) {
            Some(Kept::Unsure) => {}
            Some(Kept::Seen(known)) if !is_newer(&sighting.resource_version, &known.resource_version) => {}
            _ => {
                self.objects.insert(subject, Kept::Seen(Box::new(sighting)));
            }
        }
    }

    /// A watch saw an object go, at that version.
    pub(super) fn gone(&mut self, subject: &Subject, resource_version: &str) {
        if let Some(Kept::Seen(known)) = self.objects.get(subject)
            && is_newer(resource_version, &known.resource_version)
        {
            self.objects.remove(subject);
        }
    }

    /// Somebody asked for an object by name, after everything that we wrote.
    pub(super) fn looked(&mut self, subject: Arc<Subject>, sighting: Sighting) {
        match self.objects.get(&subject) {
            Some(Kept::Seen(known)) if !is_newer(&sighting.resource_version, &known.resource_version) => {}
            _ => {
                self.objects.insert(subject, Kept::Seen(Box::new(sighting)));
            }
        }
    }

    /// An object is about to be written.
    pub(super) fn write(&mut self, subject: Arc<Subject>) {
        self.objects.insert(subject, Kept::Unsure);
    }

    /// Nobody looks at it any more.
    pub(super) fn forget(&mut self, subject: &Subject) {
        self.objects.remove(subject);
    }

    /// The watch has ended.
    pub(super) fn end(&mut self, place: &Place) {
        self.complete.remove(place);
        self.listed.remove(place);
    }
}

/// Versions are compared as the numbers that they are (KEP-5504); what is no number is older than everything, so that it is asked for.
fn is_newer(one: &str, than: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    number(one) > number(than)
}

#[cfg(test)]
mod tests {
    use banhbaoring_api::plugin::NamespacedName;
    use serde_json::json;

    use super::*;
    use crate::observe::Views;
    use crate::sighting::Sight;

    fn sight() -> Sight {
        Sight::of("v1", "ConfigMap", &Views::new())
    }

    fn place() -> Place {
        let account = NamespacedName { namespace: "system".to_owned(), name: "plugin".to_owned() };
        Place::new("v1", "ConfigMap", Some("team".to_owned()), account, Some(sight()))
    }

    fn subject(name: &str) -> Arc<Subject> {
        Arc::new(Subject::new("v1", "ConfigMap", Some("team".to_owned()), name))
    }

    fn at(version: u64) -> Sighting {
        Sighting::of(&json!({"metadata": {"uid": "u", "resourceVersion": version.to_string()}}), &sight())
    }

    fn known(sightings: &Sightings, name: &str) -> Option<String> {
        sightings.get(&place(), &subject(name)).map(|sighting| sighting.resource_version.clone())
    }

    fn synced(names: &[(&str, u64)]) -> Sightings {
        let mut sightings = Sightings::default();
        sightings.begin(&place());
        for (name, version) in names {
            sightings.saw(&place(), subject(name), at(*version));
        }
        sightings.complete(&place(), |_| true);
        sightings
    }

    #[test]
    fn nothing_is_known_before_the_watch_has_told_everything() {
        let mut sightings = Sightings::default();
        sightings.begin(&place());
        sightings.saw(&place(), subject("a"), at(5));
        assert_eq!(known(&sightings, "a"), None);
        sightings.complete(&place(), |_| true);
        assert_eq!(known(&sightings, "a").as_deref(), Some("5"));
        assert_eq!(known(&sightings, "b"), None);
    }

    #[test]
    fn what_we_write_is_not_believed_until_it_was_asked_for() {
        let mut sightings = synced(&[("a", 5)]);
        sightings.write(subject("a"));
        sightings.saw(&place(), subject("a"), at(6));
        assert_eq!(known(&sightings, "a"), None, "6 may be older than our write");
        sightings.looked(subject("a"), at(8));
        sightings.saw(&place(), subject("a"), at(7));
        assert_eq!(known(&sightings, "a").as_deref(), Some("8"), "news that are older than what was read");
        sightings.saw(&place(), subject("a"), at(9));
        assert_eq!(known(&sightings, "a").as_deref(), Some("9"));
    }

    #[test]
    fn an_object_that_was_made_again_is_not_taken_away_by_the_end_of_its_predecessor() {
        let mut sightings = synced(&[("a", 5)]);
        sightings.looked(subject("a"), at(9));
        sightings.gone(&subject("a"), "7");
        assert_eq!(known(&sightings, "a").as_deref(), Some("9"));
        sightings.gone(&subject("a"), "10");
        assert_eq!(known(&sightings, "a"), None);
    }

    #[test]
    fn what_a_watch_does_not_tell_again_is_gone() {
        let mut sightings = synced(&[("a", 5), ("b", 5)]);
        sightings.begin(&place());
        sightings.saw(&place(), subject("a"), at(5));
        sightings.complete(&place(), |_| true);
        assert_eq!((known(&sightings, "a").is_some(), known(&sightings, "b")), (true, None));
        sightings.end(&place());
        assert_eq!(known(&sightings, "a"), None, "nobody tells of changes any more");
    }
}
