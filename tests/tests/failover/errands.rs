//! Side effects while operators die: each is written down before it is sent, sent once, and what nobody knows the outcome of is told as unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use banhbaoring_testing::http_server::{Asked, HttpServer, Told, own_address};
use banhbaoring_testing::wait;
use banhbaoring_tests::team::PATIENCE;
use banhbaoring_tests::world::TAG;
use banhbaoring_tests::{Operator, Team, World};
use serde_json::{Value, json};

use crate::world;

/// A team with errands, whose pods say that they are where `server` is.
pub(crate) struct Errands {
    pub(crate) team: Team,
}

impl Errands {
    pub(crate) async fn new(world: &World) -> Self {
        world.publisher.publish("errand", TAG).await.unwrap();
        world.installation.add(&world.publisher, "errand", TAG).await.unwrap();
        Self { team: world.team("errands").await.unwrap() }
    }

    pub(crate) async fn until_served(&self, world: &World, operator: &Operator) {
        world.until_serving(operator).await.unwrap();
        let definition = ["wait", "crd/errands.errands.tests.banhbaoring.io", "--for=condition=Established", "--timeout=300s"];
        wait::until(PATIENCE, "the definition of Errand", async || self.team.kubectl.run(&definition).await).await.unwrap();
    }

    pub(crate) async fn ask(&self, name: &str, spec: Value) {
        let errand =
            json!({"apiVersion": "errands.tests.banhbaoring.io/v1alpha1", "kind": "Errand", "metadata": {"name": name}, "spec": spec});
        self.team.apply(&[errand]).await.unwrap();
    }

    /// No kubelet runs here: its pod is said to run on this machine.
    async fn place(&self, name: &str) {
        let pod = format!("pod/{name}-0");
        wait::until(PATIENCE, &pod, async || self.team.get(&pod).await.map_err(|error| error.to_string())).await.unwrap();
        let address = own_address().unwrap();
        let status = json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}).to_string();
        self.team.kubectl.run(&["patch", &pod, "--subresource=status", "--type=merge", "-p", &status]).await.unwrap();
    }

    /// Its pod is said to be ready as well: it is at rest, and nobody looks at it again without a reason.
    pub(crate) async fn rest(&self, name: &str) {
        self.place(name).await;
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}).to_string();
        self.team.kubectl.run(&["patch", &format!("pod/{name}-0"), "--subresource=status", "--type=merge", "-p", &ready]).await.unwrap();
        self.team.kubectl.run(&["wait", &format!("errand/{name}"), "--for=condition=Ready", "--timeout=300s"]).await.unwrap();
    }

    async fn outcomes(&self, name: &str) -> BTreeMap<String, String> {
        let errand = self.team.get(&format!("errand/{name}")).await.unwrap();
        errand.pointer("/status/outcomes").and_then(|outcomes| serde_json::from_value(outcomes.clone()).ok()).unwrap_or_default()
    }

    pub(crate) async fn until_outcomes(&self, name: &str, wanted: &[(&str, &str)]) {
        let wanted: BTreeMap<String, String> = wanted.iter().map(|(id, outcome)| ((*id).to_owned(), (*outcome).to_owned())).collect();
        let found = wait::until(PATIENCE, format!("{name} to tell {wanted:?}"), async || {
            let outcomes = self.outcomes(name).await;
            if outcomes == wanted { Ok(()) } else { Err(format!("{outcomes:?}")) }
        });
        found.await.unwrap();
    }

    pub(crate) async fn finish(&self, operator: &Operator) {
        self.team.kubectl.run(&["delete", "errands", "--all", "--wait=false"]).await.unwrap();
        assert!(operator.server().stop(PATIENCE).await, "it ends when it is asked to: {}", operator.server().log_tail());
    }
}

/// What was sent with an effect, in order.
fn done(server: &HttpServer) -> Vec<String> {
    server.asked().into_iter().filter(|asked| asked.method == "PUT").map(|asked| asked.target).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_sent_once_and_in_order_however_often_the_owner_is_looked_at_and_by_whom() {
    let world = world().await;
    let operator = Operator::start(&world.operator("errands")).unwrap();
    let errands = Errands::new(&world).await;
    errands.until_served(&world, &operator).await;
    let server = HttpServer::start(|_| Told::Json(200, json!({"said": 7}))).await.unwrap();
    errands.ask("calm", json!({"port": server.address.port(), "ids": ["c", "a", "b"], "look": 2})).await;
    errands.place("calm").await;
    let wanted = [("a", "200 7"), ("b", "200 7"), ("c", "200 7")];
    errands.until_outcomes("calm", &wanted).await;
    for round in 0..5 {
        errands.team.patch("errand/calm", &json!({"metadata": {"labels": {"round": round.to_string()}}})).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    operator.start_again().unwrap();
    operator.until_leading().await.unwrap();
    let looks = || server.asked().len();
    let before = looks();
    wait::until(PATIENCE, "it looks again", async || if looks() > before + 1 { Ok(()) } else { Err(looks()) }).await.unwrap();
    assert_eq!(done(&server), ["/v1/c", "/v1/a", "/v1/b"]);
    errands.until_outcomes("calm", &wanted).await;
    // No longer asked for, and then again: that is another one.
    errands.ask("calm", json!({"port": server.address.port(), "ids": ["c"]})).await;
    errands.until_outcomes("calm", &[("c", "200 7")]).await;
    errands.ask("calm", json!({"port": server.address.port(), "ids": ["c", "a"]})).await;
    errands.until_outcomes("calm", &[("a", "200 7"), ("c", "200 7")]).await;
    assert_eq!(done(&server), ["/v1/c", "/v1/a", "/v1/b", "/v1/a"]);
    errands.finish(&operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_under_way_when_the_operator_was_killed_is_unknown_to_whoever_takes_over_and_is_not_repeated() {
    let world = world().await;
    let first = Operator::start(&world.operator("first")).unwrap();
    let errands = Errands::new(&world).await;
    errands.until_served(&world, &first).await;
    let second = Operator::start(&world.operator("second")).unwrap();
    second.until_standing_by().await.unwrap();
    let is_slow = |asked: &Asked| asked.target == "/v1/slow";
    let server = HttpServer::start(move |asked| {
        let told = Told::Json(200, json!({"said": 1}));
        if is_slow(asked) { Told::After(Duration::from_secs(20), Box::new(told)) } else { told }
    });
    let server = server.await.unwrap();
    errands.ask("torn", json!({"port": server.address.port(), "ids": ["quick", "slow", "after"]})).await;
    errands.place("torn").await;
    let arrived = async || if server.asked().iter().any(is_slow) { Ok(()) } else { Err("it has not arrived") };
    wait::until(PATIENCE, "the slow one", arrived).await.unwrap();
    first.server().kill();
    second.until_leading().await.unwrap();
    errands.until_outcomes("torn", &[("quick", "200 1"), ("slow", "unknown"), ("after", "waiting")]).await;
    assert_eq!(done(&server), ["/v1/quick", "/v1/slow"], "neither it nor what comes after it is sent");
    // Whoever looked into it goes on.
    errands.ask("torn", json!({"port": server.address.port(), "ids": ["quick", "after"]})).await;
    errands.until_outcomes("torn", &[("quick", "200 1"), ("after", "200 1")]).await;
    assert_eq!(done(&server), ["/v1/quick", "/v1/slow", "/v1/after"]);
    errands.finish(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_reaches_nobody_is_told_and_tried_again() {
    let world = world().await;
    let operator = Operator::start(&world.operator("patient")).unwrap();
    let errands = Errands::new(&world).await;
    errands.until_served(&world, &operator).await;
    // A port that was free a moment ago.
    let port = HttpServer::start(|_| Told::Hangup).await.unwrap().address.port() ^ 1;
    errands.ask("patient", json!({"port": port, "ids": ["late"], "look": 1})).await;
    errands.until_outcomes("patient", &[("late", "unavailable")]).await;
    errands.place("patient").await;
    errands.until_outcomes("patient", &[("late", "unavailable")]).await;
    let server = HttpServer::start_on(port, |_| Told::Json(200, json!({"said": 3}))).await.unwrap();
    errands.until_outcomes("patient", &[("late", "200 3")]).await;
    assert_eq!(done(&server), ["/v1/late"]);
    let looked = wait::until(PATIENCE, "the look", async || {
        let errand = errands.team.get("errand/patient").await.unwrap();
        if errand["status"]["looked"] == "200 3" { Ok(()) } else { Err(errand["status"].to_string()) }
    });
    looked.await.unwrap();
    errands.finish(&operator).await;
}
