//! Jobs that operators run once per key while they die, and outputs that reach other owners.

use banhbaoring_testing::wait;
use banhbaoring_tests::survey::text;
use banhbaoring_tests::team::PATIENCE;
use banhbaoring_tests::{Operator, World, audit};
use serde_json::{Value, json};

use crate::errands::Errands;
use crate::world;

impl Errands {
    /// Jobs of the team, `job/name`.
    async fn jobs(&self) -> Vec<String> {
        let names = self.team.kubectl.run(&["get", "jobs", "-o", "name"]).await.unwrap();
        names.lines().map(ToOwned::to_owned).collect()
    }

    async fn until_job(&self, count: usize) -> Vec<String> {
        let jobs = wait::until(PATIENCE, format!("{count} Jobs"), async || {
            let jobs = self.jobs().await;
            if jobs.len() == count { Ok(jobs) } else { Err(format!("{jobs:?}")) }
        });
        jobs.await.unwrap()
    }

    /// No kubelet runs here: the pod of the Job is said to have ended.
    async fn end(&self, job: &str, code: i32, message: &str) {
        let selector = format!("job-name={}", job.rsplit('/').next().unwrap());
        let pod = wait::until(PATIENCE, format!("the pod of {job}"), async || {
            let pod = self.team.kubectl.run(&["get", "pods", "-l", &selector, "-o", "name"]).await.unwrap();
            if pod.trim().is_empty() { Err("there is none") } else { Ok(pod.trim().to_owned()) }
        });
        let terminated =
            json!({"exitCode": code, "message": message, "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"});
        let container =
            json!({"name": "run", "image": "i", "imageID": "i", "ready": false, "restartCount": 0, "state": {"terminated": terminated}});
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status = json!({"status": {"phase": phase, "containerStatuses": [container]}}).to_string();
        self.team.kubectl.run(&["patch", &pod.await.unwrap(), "--subresource=status", "--type=merge", "-p", &status]).await.unwrap();
    }

    async fn until_status(&self, name: &str, pointer: &str, wanted: &Value) {
        let found = wait::until(PATIENCE, format!("{name} to say {wanted} at {pointer}"), async || {
            let errand = self.team.get(&format!("errand/{name}")).await.unwrap();
            if errand.pointer(pointer) == Some(wanted) { Ok(()) } else { Err(errand["status"].to_string()) }
        });
        found.await.unwrap();
    }
}

/// Names of Jobs in the namespace that were made for somebody who applied them, as the API server tells: a Job that went counts, too.
fn made(world: &World, namespace: &str) -> Vec<String> {
    let requests = audit::requests(&world.cluster).unwrap();
    let is_made = |request: &&Value| {
        text(request, "/objectRef/resource") == "jobs"
            && text(request, "/objectRef/namespace") == namespace
            && matches!(text(request, "/verb"), "patch" | "create")
            && request.pointer("/responseStatus/code") == Some(&json!(201))
    };
    requests.iter().filter(is_made).map(|request| text(request, "/objectRef/name").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_made_once_and_whoever_takes_over_tells_how_it_ended() {
    let world = world().await;
    let first = Operator::start(&world.operator("runs-first")).unwrap();
    let errands = Errands::new(&world).await;
    errands.until_served(&world, &first).await;
    let second = Operator::start(&world.operator("runs-second")).unwrap();
    second.until_standing_by().await.unwrap();
    errands.ask("torn", json!({"run": "migrate-1"})).await;
    let jobs = errands.until_job(1).await;
    first.server().kill();
    second.until_leading().await.unwrap();
    errands.until_outcomes("torn", &[("run", "done")]).await;
    errands.until_status("torn", "/status/ran", &json!({"state": "running"})).await;
    errands.end(&jobs[0], 0, "moved 7 rows").await;
    let succeeded = json!({"state": "succeeded", "exitCode": 0, "message": "moved 7 rows"});
    errands.until_status("torn", "/status/ran", &succeeded).await;
    // Gone, as after its time to live: it is not made again, and what came of it is known, also to who was not there.
    errands.team.kubectl.run(&["delete", &jobs[0], "--timeout=300s"]).await.unwrap();
    second.start_again().unwrap();
    second.until_leading().await.unwrap();
    errands.team.patch("errand/torn", &json!({"spec": {"say": "anew"}})).await.unwrap();
    errands.until_status("torn", "/status/outcomes/run", &json!("done")).await;
    errands.until_status("torn", "/status/ran", &succeeded).await;
    // Another key is another run; one that is deleted before it ended is lost.
    errands.ask("torn", json!({"run": "migrate-2"})).await;
    let jobs = errands.until_job(1).await;
    errands.until_status("torn", "/status/ran/state", &json!("running")).await;
    errands.team.kubectl.run(&["delete", &jobs[0], "--timeout=300s"]).await.unwrap();
    errands.until_status("torn", "/status/ran/state", &json!("failed")).await;
    // Back to the first: it ran.
    errands.ask("torn", json!({"run": "migrate-1"})).await;
    errands.until_status("torn", "/status/ran", &succeeded).await;
    errands.until_outcomes("torn", &[("run", "done")]).await;
    let made = made(&world, &errands.team.namespace);
    assert_eq!(made.len(), 2, "{made:?}");
    assert_ne!(made[0], made[1]);
    errands.finish(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_owner_publishes_reaches_the_one_that_asks_when_it_changes_and_ends_with_it() {
    let world = world().await;
    let operator = Operator::start(&world.operator("outputs")).unwrap();
    let errands = Errands::new(&world).await;
    errands.until_served(&world, &operator).await;
    errands.ask("tenant", json!({"consume": "store"})).await;
    errands.until_status("tenant", "/status/consumed", &json!("not-found")).await;
    errands.ask("store", json!({"say": "one"})).await;
    errands.until_status("tenant", "/status/consumed", &json!("one")).await;
    // So it has to be woken: it is at rest, and its next look by itself is later than anybody waits here.
    errands.rest("tenant").await;
    for word in ["two", "three", "four"] {
        errands.team.patch("errand/store", &json!({"spec": {"say": word}})).await.unwrap();
        errands.until_status("tenant", "/status/consumed", &json!(word)).await;
    }
    errands.team.kubectl.run(&["delete", "errand/store", "--timeout=300s"]).await.unwrap();
    errands.until_status("tenant", "/status/consumed", &json!("not-found")).await;
    errands.finish(&operator).await;
}
