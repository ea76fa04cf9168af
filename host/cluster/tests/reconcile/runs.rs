//! Jobs that run once per key: made, found again after a crash, told apart from look-alikes, and their outcome kept when they are gone.

use std::time::Duration;

use banhbaoring_api::inventory::{InventorySpec, RunEntry, RunResult};
use banhbaoring_cluster::act::{Acted, Acting};
use banhbaoring_cluster::run::Inquiry;
use banhbaoring_pipeline::admit::NeedScope;
use banhbaoring_pipeline::contract::{Action, ActionOutcome, AnswerOutcome, Need, NeedMode};
use banhbaoring_pipeline::runs::{self, Learnt};
use banhbaoring_pipeline::{ActivePlugin, journal};
use banhbaoring_testing::wait;
use serde_json::{Value, json};

use crate::support::asks::{Asks, admitted, plugin};
use crate::support::{COMPONENT, Fixture};

const PATIENCE: Duration = banhbaoring_testing::wait::PATIENCE;

/// An owner with runs, as the operator keeps them.
struct Runner {
    fixture: Fixture,
    plugin: ActivePlugin,
    inventory: InventorySpec,
    now: i64,
}

impl Runner {
    async fn new() -> Self {
        let fixture = Fixture::new("runs").await;
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}});
        fixture.kubectl.apply(&account.to_string()).await.unwrap();
        let grants = json!({
            "resources": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}],
            "pods": {"serviceAccounts": ["runner"], "images": ["registry.invalid/*"]},
        });
        let inventory = InventorySpec { owner: fixture.owner.clone(), ..InventorySpec::default() };
        Self { plugin: plugin(&fixture, grants), fixture, inventory, now: 1_000 }
    }

    /// What is written down before anything is sent.
    async fn intend(&mut self, key: &str) -> banhbaoring_pipeline::Permitted {
        self.now += 600;
        let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        let pod = json!({"spec": {"automountServiceAccountToken": false, "serviceAccountName": "runner",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "main", "image": "registry.invalid/run:1", "securityContext": security}]}});
        let spec = json!({"key": key, "podTemplate": pod, "deadlineSeconds": 600});
        let action = Action { id: key.to_owned(), kind: "run".to_owned(), spec };
        let permitted = admitted(&self.fixture, &self.plugin, Asks::action(action), &self.inventory).await;
        journal::interrupt(&mut self.inventory.journal, &Default::default());
        let next = journal::next(&permitted, &self.inventory.journal, self.now);
        journal::intend(&mut self.inventory.journal, &next, self.now);
        let mut count = 0;
        runs::intend(&mut self.inventory.runs, &self.fixture.owner, &next, self.now, || {
            count += 1;
            format!("token-{}-{count}", self.now)
        });
        permitted
    }

    async fn send(&self, permitted: &banhbaoring_pipeline::Permitted) -> Acted {
        let acting = Acting { plugin: &self.plugin, component: COMPONENT, inventory: &self.inventory, owner_since: "", gate: &|| Ok(()) };
        self.fixture.cluster.act(acting, &permitted.components[0].actions[0]).await
    }

    /// The whole of an action, written down.
    async fn run(&mut self, key: &str) -> ActionOutcome {
        let permitted = self.intend(key).await;
        let acted = self.send(&permitted).await;
        self.store(key, &acted);
        acted.outcome
    }

    fn store(&mut self, key: &str, acted: &Acted) {
        acted.news.iter().for_each(|news| runs::learn(&mut self.inventory.runs, news));
        journal::record(&mut self.inventory.journal, &(COMPONENT.to_owned(), key.to_owned()), &acted.outcome);
    }

    /// The answer of the need, what was learnt written down.
    async fn ask(&mut self, key: &str) -> AnswerOutcome {
        let need = Need { id: "n".to_owned(), kind: "job".to_owned(), mode: NeedMode::Watch, project: vec![], spec: json!({"key": key}) };
        let permitted = admitted(&self.fixture, &self.plugin, Asks::need(need), &self.inventory).await;
        let NeedScope::Job(job, key) = &permitted.components[0].needs[0].scope else { panic!() };
        let inquiry = Inquiry { plugin: &self.plugin, component: COMPONENT, inventory: &self.inventory };
        let (answer, news) = self.fixture.cluster.answer_job(inquiry, job, key).await;
        news.iter().for_each(|news| runs::learn(&mut self.inventory.runs, news));
        answer
    }

    fn entry(&self, key: &str) -> &RunEntry {
        runs::find(&self.inventory, key).unwrap()
    }

    async fn job(&self, key: &str) -> Value {
        self.fixture.get("job", &self.entry(key).job).await
    }

    async fn jobs(&self) -> usize {
        self.fixture.kubectl.run(&["get", "jobs", "-o", "name"]).await.unwrap().lines().count()
    }

    /// No kubelet runs here: the run's pod is said to have ended.
    async fn end(&self, key: &str, code: i32, message: &str) {
        let selector = format!("job-name={}", self.entry(key).job);
        let pod = wait::until(PATIENCE, "the Job's pod", async || {
            let name = self.fixture.kubectl.run(&["get", "pods", "-l", &selector, "-o", "name"]).await.unwrap();
            if name.trim().is_empty() { Err("there is none") } else { Ok(name.trim().to_owned()) }
        });
        let pod = pod.await.unwrap();
        let terminated = json!({"exitCode": code, "message": message, "reason": "Ended",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"});
        let container = |name: &str, terminated: &Value| json!({"name": name, "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": {"terminated": terminated}});
        let injected =
            json!({"exitCode": 77, "message": "not the run's", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"});
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status =
            json!({"status": {"phase": phase, "containerStatuses": [container("injected", &injected), container("main", &terminated)]}});
        self.fixture.kubectl.run(&["patch", &pod, "--subresource=status", "--type=merge", "-p", &status.to_string()]).await.unwrap();
    }

    async fn until_told(&mut self, key: &str) -> Value {
        for _ in 0..300 {
            match self.ask(key).await {
                AnswerOutcome::Ok(view) if view["state"] != "running" => return view,
                AnswerOutcome::Ok(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                other => panic!("{other:?}"),
            }
        }
        panic!("{} does not end", self.entry(key).job);
    }

    /// Deletes the Job as garbage collection would; its finalizers go with it.
    async fn delete(&self, key: &str) {
        self.fixture.kubectl.run(&["delete", "job", &self.entry(key).job, "--cascade=foreground", "--timeout=300s"]).await.unwrap();
    }
}

fn done() -> ActionOutcome {
    ActionOutcome::Ok(json!({}))
}

fn refusal(outcome: &ActionOutcome) -> (&str, &str) {
    match outcome {
        ActionOutcome::Error(error) => (&error.class, &error.message),
        other => panic!("{other:?}"),
    }
}

fn class(outcome: &AnswerOutcome) -> &str {
    match outcome {
        AnswerOutcome::Error(error) => &error.class,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_made_once_per_key_and_belongs_to_the_owner() {
    let mut runner = Runner::new().await;
    assert_eq!(class(&runner.ask("migrate-1").await), "not-found", "nothing ran");
    assert_eq!(runner.run("migrate-1").await, done());
    let job = runner.job("migrate-1").await;
    assert_eq!(json!(runner.entry("migrate-1").uid), job["metadata"]["uid"]);
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], json!(runner.fixture.owner.uid));
    assert_eq!((&job["spec"]["backoffLimit"], &job["spec"]["template"]["spec"]["restartPolicy"]), (&json!(0), &json!("Never")));
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 3600);
    assert!(matches!(runner.ask("migrate-1").await, AnswerOutcome::Ok(view) if view == json!({"state": "running"})));
    // Asked for anew, under another id or after it was forgotten.
    runner.inventory.journal.clear();
    assert_eq!(runner.run("migrate-1").await, done());
    assert_eq!(runner.run("migrate-2").await, done());
    assert_eq!(runner.jobs().await, 2);
    // The key is another plugin's: it hears nothing of it, and does not get away with `ok`.
    runner.inventory.runs[0].component = "other".to_owned();
    runner.inventory.runs[0].account = "host/other".to_owned();
    runner.inventory.journal.clear();
    assert_eq!(refusal(&runner.run("migrate-1").await).0, "conflict");
    assert_eq!(class(&runner.ask("migrate-1").await), "not-permitted");
}

#[tokio::test]
async fn death_before_the_job_was_sent_makes_it_and_death_after_finds_it_again() {
    let mut runner = Runner::new().await;
    runner.intend("a").await;
    let token = runner.entry("a").token.clone();
    assert_eq!(runner.run("a").await, done(), "whoever comes next makes it");
    assert_eq!(runner.entry("a").token, token);
    let uid = runner.entry("a").uid.clone();
    // It was made, and the host died before it could say so.
    let permitted = runner.intend("b").await;
    assert_eq!(runner.send(&permitted).await.outcome, done());
    assert_eq!(runner.entry("b").uid, None);
    assert_eq!(runner.run("b").await, done());
    assert_eq!(json!(runner.entry("b").uid), runner.job("b").await["metadata"]["uid"]);
    assert_ne!(runner.entry("b").uid, uid);
    // And once more, this time found by the question.
    let permitted = runner.intend("c").await;
    runner.send(&permitted).await;
    assert!(matches!(runner.ask("c").await, AnswerOutcome::Ok(view) if view["state"] == "running"));
    assert_eq!(json!(runner.entry("c").uid), runner.job("c").await["metadata"]["uid"]);
    assert_eq!(runner.jobs().await, 3);
}

#[tokio::test]
async fn a_run_that_may_have_come_and_gone_is_not_made_again() {
    let mut runner = Runner::new().await;
    let permitted = runner.intend("a").await;
    runner.send(&permitted).await;
    // The host was away for longer than a Job stays.
    runner.delete("a").await;
    runner.now += runs::KEPT_SECONDS;
    let outcome = runner.run("a").await;
    assert_eq!(refusal(&outcome).0, journal::LOST);
    assert_eq!(runner.jobs().await, 0);
    assert!(matches!(runner.ask("a").await, AnswerOutcome::Ok(view) if view["state"] == "failed"));
}

#[tokio::test]
async fn a_look_alike_is_neither_adopted_nor_believed() {
    let mut runner = Runner::new().await;
    let name = runs::job(&runner.fixture.owner, "a").name;
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": {"banhbaoring.io/intent": "guessed"},
        "labels": {"app.kubernetes.io/managed-by": "banhbaoring", "banhbaoring.io/owner-uid": runner.fixture.owner.uid}},
        "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "theirs"}]}}}});
    runner.fixture.kubectl.apply(&job.to_string()).await.unwrap();
    let outcome = runner.run("a").await;
    assert_eq!(refusal(&outcome).0, "conflict");
    assert!(refusal(&outcome).1.contains(&name), "{outcome:?}");
    let entry = runner.entry("a");
    assert_eq!((entry.uid.as_deref(), entry.since), (None, None), "it is certain that none was made");
    assert_eq!(class(&runner.ask("a").await), "not-found");
    assert_eq!(runner.job("a").await["spec"]["template"]["spec"]["containers"][0]["image"], "theirs");
    // Once it is out of the way the run takes place, however much later.
    runner.delete("a").await;
    runner.now += 10 * runs::KEPT_SECONDS;
    assert_eq!(runner.run("a").await, done());
    let permitted = json!({"metadata": {"uid": runner.entry("a").uid}});
    assert_eq!(runner.job("a").await["metadata"]["uid"], permitted["metadata"]["uid"]);
}

#[tokio::test]
async fn the_outcome_of_the_runs_own_container_is_told_and_kept_when_the_job_is_gone() {
    let mut runner = Runner::new().await;
    runner.run("good").await;
    runner.run("bad").await;
    runner.end("good", 0, "slots: \u{1b}[31m4").await;
    runner.end("bad", 3, &"x".repeat(4096)).await;
    let good = json!({"state": "succeeded", "exitCode": 0, "message": "slots: [31m4"});
    assert_eq!(runner.until_told("good").await, good);
    let bad = runner.until_told("bad").await;
    assert_eq!((&bad["state"], &bad["exitCode"]), (&json!("failed"), &json!(3)));
    assert_eq!(bad["message"].as_str().unwrap().len(), 4096);
    runner.delete("good").await;
    runner.delete("bad").await;
    assert!(matches!(runner.ask("good").await, AnswerOutcome::Ok(view) if view == good));
    assert!(matches!(runner.ask("bad").await, AnswerOutcome::Ok(view) if view == bad));
    runner.inventory.journal.clear();
    assert_eq!(runner.run("good").await, done());
    assert_eq!(runner.jobs().await, 0, "it ran before");
}

#[tokio::test]
async fn a_job_that_went_before_it_ended_is_lost_whatever_has_its_name_then() {
    let mut runner = Runner::new().await;
    runner.run("a").await;
    let uid = runner.entry("a").uid.clone();
    let mut copy = runner.job("a").await;
    runner.delete("a").await;
    // Somebody makes it again, with the token that they saw.
    let annotations = copy["metadata"]["annotations"].take();
    copy["metadata"] = json!({"name": runner.entry("a").job, "annotations": annotations});
    copy["spec"] =
        json!({"suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "theirs"}]}}});
    copy["status"].take();
    runner.fixture.kubectl.run_with_input(&["create", "-f", "-"], &copy.to_string()).await.unwrap();
    let AnswerOutcome::Ok(view) = runner.ask("a").await else { panic!() };
    assert_eq!(view["state"], "failed");
    assert!(view["message"].as_str().unwrap().contains("lost"), "{view}");
    let entry = runner.entry("a");
    assert_eq!((&entry.uid, entry.outcome.as_ref().map(|outcome| outcome.result)), (&uid, Some(RunResult::Failed)));
}

#[tokio::test]
async fn what_certainly_made_no_job_leaves_no_doubt() {
    let mut runner = Runner::new().await;
    let nobody = banhbaoring_api::plugin::NamespacedName { namespace: runner.fixture.namespace.clone(), name: "nobody".into() };
    let allowed = std::mem::replace(&mut runner.plugin.account, nobody);
    let permitted = runner.intend("a").await;
    let acted = runner.send(&permitted).await;
    assert_eq!(refusal(&acted.outcome).0, "not-permitted");
    assert!(matches!(&acted.news, Some(news) if matches!(news.what, Learnt::NotMade(at) if at == runner.now)));
    runner.store("a", &acted);
    runner.plugin.account = allowed;
    runner.now += runs::KEPT_SECONDS;
    assert_eq!(runner.run("a").await, done(), "a role was bound meanwhile");
}
