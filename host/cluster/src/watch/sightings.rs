//! Children as their watches saw them last. What is not here, or may be older than what we wrote, is asked for by name. Only bookkeeping, no I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::followers::{Place, Subject};
use crate::sighting::Sighting;
use crate::version::is_newer;

#[derive(Debug)]
enum Kept {
    Seen(Box<Sighting>),
    /// We write it: until the write is answered, or it is asked for, nobody knows whether what the watch says is older.
    Unsure(News),
}

/// What a watch told of an object that we write.
#[derive(Debug, Default)]
enum News {
    #[default]
    Nothing,
    Seen(Box<Sighting>),
    /// Gone, at that version.
    Gone(String),
}

/// Objects with our label that nobody follows: somebody may soon, because a host that starts again lists them before it looks at their owners.
/// More than so many are not kept, because anybody can write a label.
const MAX_UNCLAIMED: usize = 100_000;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    objects: HashMap<Arc<Subject>, Kept>,
    /// Pointers of children below which only their component may own anything, where there are any.
    exclusive: HashMap<Arc<Subject>, Vec<String>>,
    /// Of objects that nobody follows yet, by the place where they were seen.
    unclaimed: HashMap<Place, HashMap<Subject, Sighting>>,
    /// Watches that have told everything there was, at least once.
    complete: HashSet<Place>,
    /// What a watch that begins again has told so far.
    listed: HashMap<Place, HashSet<Arc<Subject>>>,
}

impl Sightings {
    /// Below these pointers only its component may own anything. What was seen with others in mind says nothing of that.
    pub(super) fn expect(&mut self, subject: &Arc<Subject>, exclusive: &[String]) {
        if self.exclusive(subject) == exclusive {
            return;
        }
        self.objects.remove(subject);
        if exclusive.is_empty() {
            self.exclusive.remove(subject);
        } else {
            self.exclusive.insert(subject.clone(), exclusive.to_vec());
        }
    }

    /// Pointers below which only the component of this child may own anything.
    pub(super) fn exclusive(&self, subject: &Subject) -> &[String] {
        self.exclusive.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Whether the watch of a place has told everything there was.
    pub(super) fn is_complete(&self, place: &Place) -> bool {
        self.complete.contains(place)
    }

    /// What is known of an object at a place, if it is known.
    pub(super) fn get(&self, place: &Place, subject: &Subject) -> Option<&Sighting> {
        match self.objects.get(subject) {
            Some(Kept::Seen(sighting)) if self.complete.contains(place) => Some(sighting),
            _ => None,
        }
    }

    /// Somebody follows an object from now on, at that place.
    pub(super) fn claim(&mut self, place: &Place, subject: &Arc<Subject>) {
        if let Some(sighting) = self.unclaimed.get_mut(place).and_then(|unclaimed| unclaimed.remove(subject.as_ref()))
            && self.exclusive(subject).is_empty()
        {
            self.objects.entry(subject.clone()).or_insert_with(|| Kept::Seen(Box::new(sighting)));
        }
    }

    /// A watch saw an object that nobody follows; `None`: saw it go.
    pub(super) fn saw_unclaimed(&mut self, place: &Place, subject: Subject, sighting: Option<Sighting>) {
        let Some(sighting) = sighting else {
            if let Some(unclaimed) = self.unclaimed.get_mut(place) {
                unclaimed.remove(&subject);
            }
            return;
        };
        let unclaimed = self.unclaimed.entry(place.clone()).or_default();
        if unclaimed.len() < MAX_UNCLAIMED || unclaimed.contains_key(&subject) {
            unclaimed.insert(subject, sighting);
        }
    }

    /// The watch of a place begins, maybe again.
    pub(super) fn begin(&mut self, place: &Place) {
        self.unclaimed.remove(place);
        self.listed.insert(place.clone(), HashSet::new());
    }

    /// The watch of a place has told everything that is there: what it did not tell is gone. `at` says whether a subject is at the place.
    pub(super) fn complete(&mut self, place: &Place, at: impl Fn(&Subject) -> bool) {
        let listed = self.listed.remove(place).unwrap_or_default();
        self.objects.retain(|subject, kept| matches!(kept, Kept::Unsure(_)) || !at(subject) || listed.contains(subject));
        self.complete.insert(place.clone());
    }

    /// A watch saw an object at that version; `sighting` is made only where it says something new. Whether somebody has to look: not where this
    /// is what a write of ours was answered, or may turn out to be.
    pub(super) fn saw(
        &mut self,
        place: &Place,
        subject: Arc<Subject>,
        resource_version: &str,
        sighting: impl FnOnce(&[String]) -> Sighting,
    ) -> bool {
        if let Some(listed) = self.listed.get_mut(place) {
            listed.insert(subject.clone());
        }
        if let Some(Kept::Seen(known)) = self.objects.get(&subject)
            && !is_newer(resource_version, &known.resource_version)
        {
            return false;
        }
        let sighting = Box::new(sighting(self.exclusive(&subject)));
        if let Some(Kept::Unsure(news)) = self.objects.get_mut(&subject) {
            *news = News::Seen(sighting);
            return false;
        }
        self.objects.insert(subject, Kept::Seen(sighting));
        true
    }

    /// A watch saw an object go, at that version. Whether somebody has to look.
    pub(super) fn gone(&mut self, subject: &Subject, resource_version: &str) -> bool {
        match self.objects.get_mut(subject) {
            Some(Kept::Unsure(news)) => {
                *news = News::Gone(resource_version.to_owned());
                return false;
            }
            Some(Kept::Seen(known)) if !is_newer(resource_version, &known.resource_version) => return false,
            Some(Kept::Seen(_)) => {
                self.objects.remove(subject);
            }
            None => {}
        }
        true
    }

    /// The API server answered what it has, after everything that we wrote. Whether a watch has told of something newer already.
    pub(super) fn looked(&mut self, subject: Arc<Subject>, sighting: Sighting) -> bool {
        let (sighting, is_old) = match self.objects.remove(&subject) {
            Some(Kept::Seen(known)) if !is_newer(&sighting.resource_version, &known.resource_version) => (known, false),
            Some(Kept::Unsure(News::Seen(news))) if is_newer(&news.resource_version, &sighting.resource_version) => (news, true),
            // It was deleted after it was answered; what is there now has to be asked for.
            Some(Kept::Unsure(News::Gone(version))) if is_newer(&version, &sighting.resource_version) => return true,
            _ => (Box::new(sighting), false),
        };
        self.objects.insert(subject, Kept::Seen(sighting));
        is_old
    }

    /// A write is over. Where it was not answered, what is there has to be asked for. Whether a watch told something meanwhile.
    pub(super) fn written(&mut self, subject: &Subject) -> bool {
        let Some(Kept::Unsure(news)) = self.objects.get(subject) else { return false };
        let is_news = !matches!(news, News::Nothing);
        self.objects.remove(subject);
        is_news
    }

    /// An object is about to be written.
    pub(super) fn write(&mut self, subject: Arc<Subject>) {
        self.objects.insert(subject, Kept::Unsure(News::Nothing));
    }

    /// Nobody looks at it any more.
    pub(super) fn forget(&mut self, subject: &Subject) {
        self.objects.remove(subject);
        self.exclusive.remove(subject);
    }

    /// The watch has ended.
    pub(super) fn end(&mut self, place: &Place) {
        self.complete.remove(place);
        self.listed.remove(place);
        self.unclaimed.remove(place);
    }
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
        Sighting::of(&json!({"metadata": {"uid": "u", "resourceVersion": version.to_string()}}), &sight(), &[])
    }

    fn known(sightings: &Sightings, name: &str) -> Option<String> {
        sightings.get(&place(), &subject(name)).map(|sighting| sighting.resource_version.clone())
    }

    fn saw(sightings: &mut Sightings, name: &str, version: u64) -> bool {
        sightings.saw(&place(), subject(name), &version.to_string(), |_| at(version))
    }

    fn synced(names: &[(&str, u64)]) -> Sightings {
        let mut sightings = Sightings::default();
        sightings.begin(&place());
        for (name, version) in names {
            saw(&mut sightings, name, *version);
        }
        sightings.complete(&place(), |_| true);
        sightings
    }

    #[test]
    fn nothing_is_known_before_the_watch_has_told_everything() {
        let mut sightings = Sightings::default();
        sightings.begin(&place());
        saw(&mut sightings, "a", 5);
        assert_eq!(known(&sightings, "a"), None);
        sightings.complete(&place(), |_| true);
        assert_eq!(known(&sightings, "a").as_deref(), Some("5"));
        assert_eq!(known(&sightings, "b"), None);
    }

    #[test]
    fn what_we_write_is_not_believed_until_it_was_asked_for() {
        let mut sightings = synced(&[("a", 5)]);
        sightings.write(subject("a"));
        saw(&mut sightings, "a", 6);
        assert_eq!(known(&sightings, "a"), None, "6 may be older than our write");
        sightings.looked(subject("a"), at(8));
        saw(&mut sightings, "a", 7);
        assert_eq!(known(&sightings, "a").as_deref(), Some("8"), "news that are older than what was read");
        saw(&mut sightings, "a", 9);
        assert_eq!(known(&sightings, "a").as_deref(), Some("9"));
    }

    #[test]
    fn what_a_watch_tells_while_we_write_counts_if_it_is_newer_than_the_answer() {
        let mut sightings = synced(&[("a", 5), ("b", 5), ("c", 5)]);
        for (name, told) in [("a", 6), ("b", 9)] {
            sightings.write(subject(name));
            saw(&mut sightings, name, told);
            sightings.looked(subject(name), at(8));
        }
        assert_eq!((known(&sightings, "a").as_deref(), known(&sightings, "b").as_deref()), (Some("8"), Some("9")));
        sightings.write(subject("c"));
        sightings.gone(&subject("c"), "9");
        sightings.looked(subject("c"), at(8));
        assert_eq!(known(&sightings, "c"), None, "deleted after our write");
    }

    #[test]
    fn owners_look_at_what_others_did_and_not_at_what_they_wrote_themselves() {
        let mut sightings = synced(&[("a", 5)]);
        assert!(saw(&mut sightings, "a", 6));
        assert!(!saw(&mut sightings, "a", 6), "that is known");
        sightings.write(subject("a"));
        assert!(!saw(&mut sightings, "a", 8), "it may be what we write");
        assert!(!sightings.looked(subject("a"), at(8)), "it was");
        assert!(!sightings.written(&subject("a")));
        assert!(saw(&mut sightings, "a", 9));
        sightings.write(subject("a"));
        assert!(!saw(&mut sightings, "a", 11));
        assert!(sightings.looked(subject("a"), at(10)), "somebody wrote after us");
        assert!(sightings.gone(&subject("a"), "12"));
    }

    #[test]
    fn what_a_watch_tells_of_a_write_without_an_answer_is_looked_at_once_it_is_over() {
        let mut sightings = synced(&[("a", 5), ("b", 5), ("c", 5)]);
        for name in ["a", "b", "c"] {
            sightings.write(subject(name));
        }
        assert!(!saw(&mut sightings, "a", 6) && !sightings.gone(&subject("b"), "7"));
        assert!(sightings.written(&subject("a")) && sightings.written(&subject("b")));
        assert!(!sightings.written(&subject("c")), "nothing came of it yet");
        assert_eq!((known(&sightings, "a"), known(&sightings, "c")), (None, None), "nobody knows what they are now");
        assert!(saw(&mut sightings, "c", 8) && sightings.gone(&subject("b"), "9"));
    }

    #[test]
    fn what_was_seen_without_minding_exclusive_pointers_says_nothing_of_them() {
        let mut sightings = synced(&[("a", 5)]);
        sightings.expect(&subject("a"), &["/spec/ports".to_owned()]);
        assert_eq!(known(&sightings, "a"), None);
        sightings.looked(subject("a"), at(5));
        sightings.expect(&subject("a"), &["/spec/ports".to_owned()]);
        assert_eq!((known(&sightings, "a").as_deref(), sightings.exclusive(&subject("a")).len()), (Some("5"), 1));
        sightings.forget(&subject("a"));
        assert!(sightings.exclusive(&subject("a")).is_empty());
    }

    #[test]
    fn what_was_seen_before_anybody_followed_it_is_known_at_once() {
        let mut sightings = synced(&[]);
        for (name, version) in [("a", 5), ("b", 5)] {
            sightings.saw_unclaimed(&place(), subject(name).as_ref().clone(), Some(at(version)));
        }
        assert_eq!(known(&sightings, "a"), None);
        sightings.claim(&place(), &subject("a"));
        assert_eq!(known(&sightings, "a").as_deref(), Some("5"));
        sightings.saw_unclaimed(&place(), subject("b").as_ref().clone(), None);
        sightings.claim(&place(), &subject("b"));
        assert_eq!(known(&sightings, "b"), None, "it went before");
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
        saw(&mut sightings, "a", 5);
        sightings.complete(&place(), |_| true);
        assert_eq!((known(&sightings, "a").is_some(), known(&sightings, "b")), (true, None));
        sightings.end(&place());
        assert_eq!(known(&sightings, "a"), None, "nobody tells of changes any more");
    }
}
