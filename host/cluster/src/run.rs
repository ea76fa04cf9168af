//! Runs as the API server has them: makes the Job of a run, and reads how it fares from the Job and its pod, both as the plugin's account. That a key
//! runs once follows from what is written down before: `banhbaoring_pipeline::runs`.

use std::collections::BTreeMap;

use banhbaoring_api::inventory::{InventorySpec, RunEntry, RunOutcome, RunResult};
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_contract::action;
use banhbaoring_contract::need::{JobState, JobView};
use banhbaoring_pipeline::ActivePlugin;
use banhbaoring_pipeline::contract::{AnswerOutcome, ObjectReference};
use banhbaoring_pipeline::plan::field_manager;
use banhbaoring_pipeline::runs::{self, Learnt, News, Step};
use serde_json::{Value, json};

use crate::act::{Acted, Acting, Undone, lost, told};
use crate::answer::Unanswerable;
use crate::apply::{INTENT_ANNOTATION, creation};
use crate::cluster::Cluster;
use crate::request::{Answer, ApiError, Collection, Endpoint, Seen, text};

/// Pages of pods that are looked through for the one of a Job: others may give theirs the same label.
const PAGES: usize = 10;

/// Who asks how a run fares.
#[derive(Clone, Copy)]
pub struct Inquiry<'a> {
    /// As whose account.
    pub plugin: &'a ActivePlugin,
    /// The component that asks.
    pub component: &'a str,
    /// The owner's.
    pub inventory: &'a InventorySpec,
}

/// What the API server has under the name of a run's Job.
enum Found {
    /// The Job that was made for the run.
    Own(Value),
    /// Somebody else's.
    Other,
    Nothing,
}

impl Cluster {
    pub(crate) async fn act_run(&self, acting: Acting<'_>, id: &str, job: &ObjectReference, run: &action::Run) -> Acted {
        let refused = |class: &str, message: String| Acted::from(told(Err(Undone::new(class, message))));
        let Some(entry) = runs::find(acting.inventory, &run.key) else {
            let message = format!("{} runs are recorded for this owner, which is the most; use a key that ran before", runs::MOST);
            return refused("invalid", message);
        };
        if !runs::is_of(entry, acting.component, &account_text(&acting.plugin.account)) {
            let message = format!("the key {} is that of a run of the component {}; choose another", run.key, entry.component);
            return refused("conflict", message);
        }
        let attempt = acting.inventory.journal.iter().find(|one| one.component == acting.component && one.id == id);
        let Some(at) = attempt.map(|attempt| attempt.at) else {
            return refused(
                "unavailable",
                "the run is not written down in the journal; this is an error of the host: report it".to_owned(),
            );
        };
        let news = |what: Learnt| News { key: run.key.clone(), what };
        let made = |uid: String| Acted { outcome: told(Ok(())), news: Some(news(Learnt::Made(uid))) };
        let job = &ObjectReference { name: entry.job.clone(), ..job.clone() };
        let sent = match runs::step(entry, at) {
            Step::Done => return told(Ok(())).into(),
            Step::Make => self.make_job(acting, entry, job, run).await,
            Step::Look => self.look_for_job(acting, entry, job).await,
        };
        match sent {
            Ok(Some(uid)) => made(uid),
            Ok(None) => {
                let since = at.saturating_sub(entry.since.unwrap_or(at));
                let message = format!(
                    "expected {job}, which was asked for {since} seconds ago, found none; whether it ran is not known: look into what it does, and \
                     run it under another key"
                );
                let outcome = runs::outcome(acting.inventory, RunResult::Failed, None, &message);
                Acted { outcome: lost(message), news: Some(news(Learnt::Ended(outcome))) }
            }
            Err((undone, in_doubt)) => Acted { outcome: told(Err(undone)), news: (!in_doubt).then(|| news(Learnt::NotMade(at))) },
        }
    }

    /// Makes the Job, or finds that it was made. An error says whether it may have been made all the same.
    async fn make_job(
        &self,
        acting: Acting<'_>,
        entry: &RunEntry,
        job: &ObjectReference,
        run: &action::Run,
    ) -> Result<Option<String>, (Undone, bool)> {
        let before = |error: ApiError| (Undone::from(error), false);
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&acting.plugin.account), job).await.map_err(before)?;
        (acting.gate)().map_err(|message| (Undone::new("unavailable", message), false))?;
        let manifest = runs::manifest(&acting.inventory.owner, acting.component, job, run);
        let body = creation(&manifest, Some(&entry.token));
        match endpoint.apply(&body, &field_manager(acting.component), Answer::Metadata).await {
            Ok(object) => Ok(Some(Seen::of(&object).uid)),
            Err(ApiError::Conflict { .. } | ApiError::AlreadyExists { .. }) => {
                match self.job_of(&endpoint, entry, Answer::Metadata).await {
                    Ok(Found::Own(object)) => Ok(Some(Seen::of(&object).uid)),
                    Ok(Found::Other) => {
                        let message =
                            format!("{job} is there and was not made for the run {}; delete it, or choose another key", entry.key);
                        Err((Undone::new("conflict", message), false))
                    }
                    Ok(Found::Nothing) => Err((Undone::new("unavailable", format!("{job} was there a moment ago and is gone")), true)),
                    Err(error) => Err((error.into(), true)),
                }
            }
            Err(error) => {
                let in_doubt = matches!(error, ApiError::Transient { .. } | ApiError::Unreadable { .. } | ApiError::Refused { .. });
                Err((error.into(), in_doubt))
            }
        }
    }

    async fn look_for_job(&self, acting: Acting<'_>, entry: &RunEntry, job: &ObjectReference) -> Result<Option<String>, (Undone, bool)> {
        let found = async {
            let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&acting.plugin.account), job).await?;
            self.job_of(&endpoint, entry, Answer::Metadata).await
        };
        match found.await {
            Ok(Found::Own(object)) => Ok(Some(Seen::of(&object).uid)),
            Ok(Found::Other | Found::Nothing) => Ok(None),
            Err(error) => Err((error.into(), true)),
        }
    }

    async fn job_of(&self, endpoint: &Endpoint, entry: &RunEntry, answer: Answer) -> Result<Found, ApiError> {
        let Some(object) = endpoint.get(answer).await? else { return Ok(Found::Nothing) };
        let seen = Seen::of(&object);
        let is_own = match &entry.uid {
            Some(uid) => *uid == seen.uid,
            None => seen.annotations.get(INTENT_ANNOTATION).and_then(Value::as_str) == Some(&entry.token),
        };
        Ok(if is_own { Found::Own(object) } else { Found::Other })
    }

    /// Answers the need `job`. Never fails: why there is no answer is an answer. What was learnt is to be written down before anybody acts on it.
    pub async fn answer_job(&self, inquiry: Inquiry<'_>, job: &ObjectReference, key: &str) -> (AnswerOutcome, Option<News>) {
        match self.how_it_fares(inquiry, job, key).await {
            Ok((view, what)) => (AnswerOutcome::Ok(json!(view)), what.map(|what| News { key: key.to_owned(), what })),
            Err(Unanswerable(error)) => (AnswerOutcome::Error(error), None),
        }
    }

    async fn how_it_fares(
        &self,
        inquiry: Inquiry<'_>,
        job: &ObjectReference,
        key: &str,
    ) -> Result<(JobView, Option<Learnt>), Unanswerable> {
        let Inquiry { plugin, component, inventory } = inquiry;
        let never = || Unanswerable::new("not-found", format!("nothing has run under the key {key}"));
        let entry = runs::find(inventory, key).ok_or_else(never)?;
        if !runs::is_of(entry, component, &account_text(&plugin.account)) {
            let message = format!("the key {key} is that of a run of the component {}", entry.component);
            return Err(Unanswerable::new("not-permitted", message));
        }
        if let Some(outcome) = &entry.outcome {
            return Ok((runs::view(outcome), None));
        }
        let job = &ObjectReference { name: entry.job.clone(), ..job.clone() };
        let endpoint = Endpoint::find(&self.clients, &self.discovery, Some(&plugin.account), job).await?;
        let object = match (self.job_of(&endpoint, entry, Answer::Whole).await?, &entry.uid) {
            (Found::Own(object), _) => object,
            (Found::Other | Found::Nothing, None) => return Err(never()),
            (Found::Other | Found::Nothing, Some(_)) => {
                let message = format!("{job} was lost: it went before it ended, so how far it came is not known; run it under another key");
                let outcome = runs::outcome(inventory, RunResult::Failed, None, &message);
                return Ok((runs::view(&outcome), Some(Learnt::Ended(outcome))));
            }
        };
        let uid = Seen::of(&object).uid;
        match self.ended(&plugin.account, inventory, job, &object).await? {
            Some(outcome) => Ok((runs::view(&outcome), Some(Learnt::Ended(outcome)))),
            None => {
                let is_new = entry.uid.is_none().then_some(Learnt::Made(uid));
                Ok((JobView { state: JobState::Running, exit_code: None, message: None }, is_new))
            }
        }
    }

    /// How a Job ended, if it did. The Job itself says whether it succeeded; its pod only, with which code and what it left.
    async fn ended(
        &self,
        account: &NamespacedName,
        inventory: &InventorySpec,
        job: &ObjectReference,
        object: &Value,
    ) -> Result<Option<RunOutcome>, ApiError> {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let mut ends = conditions.filter(|one| matches!(text(one, "/type"), "Complete" | "Failed") && text(one, "/status") == "True");
        let Some(end) = ends.next() else { return Ok(None) };
        let container = text(object, "/spec/template/spec/containers/0/name");
        let terminated = self.terminated(account, job, &Seen::of(object).uid, container).await?;
        let left = terminated.as_ref().map(|terminated| text(terminated, "/message")).unwrap_or_default();
        let told_code =
            terminated.as_ref().and_then(|terminated| terminated.get("exitCode")?.as_i64()).and_then(|code| code.try_into().ok());
        if text(end, "/type") == "Complete" {
            return Ok(Some(runs::outcome(inventory, RunResult::Succeeded, Some(0), left)));
        }
        let why = format!("{}: {}", text(end, "/reason"), text(end, "/message"));
        let message = if left.is_empty() { why.as_str() } else { left };
        Ok(Some(runs::outcome(inventory, RunResult::Failed, told_code, message)))
    }

    /// How the container of the Job's pod ended.
    async fn terminated(
        &self,
        account: &NamespacedName,
        job: &ObjectReference,
        uid: &str,
        container: &str,
    ) -> Result<Option<Value>, ApiError> {
        let pods = Collection::find(&self.clients, &self.discovery, account, ("v1", "Pod"), job.namespace.as_deref()).await?;
        let labels = BTreeMap::from([("job-name".to_owned(), job.name.clone())]);
        let (mut from, mut found): (Option<String>, Option<(String, Value)>) = (None, None);
        for _ in 0..PAGES {
            let page = pods.page(&labels, from.as_deref()).await?;
            for pod in page.items.into_iter().filter(|pod| Seen::of(pod).controller.as_deref() == Some(uid)) {
                let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
                let mut ends = statuses.filter(|one| text(one, "/name") == container).filter_map(|one| one.pointer("/state/terminated"));
                let since = text(&pod, "/metadata/creationTimestamp").to_owned();
                if let Some(end) = ends.next()
                    && found.as_ref().is_none_or(|(before, _)| *before < since)
                {
                    found = Some((since, end.clone()));
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(found.map(|(_, end)| end))
    }
}

fn account_text(account: &NamespacedName) -> String {
    format!("{}/{}", account.namespace, account.name)
}
