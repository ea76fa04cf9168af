//! Plugins that judge writes, well or badly: a denial is told to who writes, a defect of the plugin keeps nobody from writing, and what the API server was
//! told goes when the plugin does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use banhbaoring_hostile::Puppet;
use banhbaoring_testing::kubectl::Kubectl;
use banhbaoring_testing::wait;
use banhbaoring_tests::objects;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::villain::Villain;

/// An API server takes up a configuration after a moment.
const SOON: Duration = banhbaoring_testing::wait::PATIENCE;
/// Secret with the host's certificate.
const SECRET: &str = "banhbaoring-admission";

struct Judge {
    villain: Villain,
    kubectl: Kubectl,
}

impl Judge {
    /// A plugin that judges writes of its own kind, and that is asked already.
    async fn asked(name: &str, mutating: bool) -> Self {
        let villain = Villain::idle(name).await;
        let Puppet { name, group, kind, .. } = villain.puppet();
        let mut judging = Puppet { name, group, kind, ..Puppet::judging(mutating) };
        judging.permissions["admission"][0]["kind"] = judging.group_kind().into();
        let grants = &judging.permissions["admission"];
        villain.publish(&judging.component(), "good").await;
        villain.change_plugin(&json!({"grants": {"admission": grants}})).await;
        villain.until_plugin(&[("Ready", "True", "Active"), ("AdmissionServed", "True", "Served")]).await;
        let kubectl = villain.stage.cluster.kubectl().unwrap().in_namespace(&villain.namespace);
        let judge = Self { villain, kubectl };
        judge.until_denied().await;
        judge
    }

    fn owner(&self, name: &str, spec: &Value) -> String {
        let api_version = format!("{}/v1alpha1", self.villain.group);
        json!({"apiVersion": api_version, "kind": "Villain", "metadata": {"name": name}, "spec": spec}).to_string()
    }

    /// Something of the spec of an owner that is stored.
    async fn stored(&self, name: &str, path: &str) -> String {
        // Every villain of this binary has a group of its own.
        let owner = format!("villains.{}/{name}", self.villain.group);
        self.kubectl.run(&["get", &owner, "-o", &format!("jsonpath={{.spec{path}}}")]).await.unwrap()
    }

    /// Writes until a write is denied; what who writes was told. The first may be too early, and on a busy machine any may be judged too late, which
    /// lets it through.
    async fn until_denied(&self) -> String {
        let denied = wait::until(SOON, "a write to be denied", async || {
            match self.kubectl.apply(&self.owner("denied", &json!({"review": "deny"}))).await {
                Err(error) if error.to_string().contains("denied the request") => Ok(error.to_string()),
                other => Err(format!("{other:?}")),
            }
        });
        denied.await.unwrap_or_else(|error| panic!("{error}\n{}", self.villain.stage.operator.server().log_tail()))
    }

    /// Writes until who writes is told this; it is let through each time.
    async fn until_told(&self, review: &str, told: impl Fn(&str) -> bool) {
        wait::until(SOON, format!("what is told of {review}"), async || {
            let warning = self.kubectl.apply_for_warnings(&self.owner(review, &json!({"review": review}))).await.unwrap();
            if told(&warning) { Ok(()) } else { Err(warning) }
        })
        .await
        .unwrap();
    }

    async fn until_allowed(&self) {
        wait::until(SOON, "nobody to be asked", async || self.kubectl.apply(&self.owner("allowed", &json!({"review": "deny"}))).await)
            .await
            .unwrap();
    }

    async fn configuration(&self, kind: &str) -> Option<Value> {
        let resource = objects::resource("admissionregistration.k8s.io", kind);
        let resource =
            kube::core::ApiResource { version: "v1".to_owned(), api_version: "admissionregistration.k8s.io/v1".to_owned(), ..resource };
        let api: Api<DynamicObject> = Api::all_with(self.villain.kube.clone(), &resource);
        api.get_opt(&format!("banhbaoring-{}", self.villain.name)).await.unwrap().map(|found| serde_json::to_value(found).unwrap())
    }

    async fn bundle(&self) -> Value {
        self.configuration("ValidatingWebhookConfiguration").await.unwrap()["webhooks"][0]["clientConfig"]["caBundle"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_told_to_who_writes_and_nobody_is_locked_out_by_a_plugin_that_fails() {
    let judge = Judge::asked("judge", false).await;
    let told = judge.until_denied().await;
    assert!(told.contains(r#"admission webhook "0.judge.plugins.banhbaoring.io" denied the request"#), "{told}");
    for (review, reason) in
        [("loop", "CpuLimitExceeded"), ("trap", "PluginTrapped"), ("big", "ResponseTooLarge"), ("outside", "PatchNotAllowed"), ("fail", "")]
    {
        let unjudged = |told: &str| told.contains("Warning: plugin judge did not judge this") && told.contains(reason);
        judge.until_told(review, unjudged).await;
    }
    let stored = judge.stored("outside", "").await;
    assert_eq!(
        serde_json::from_str::<Value>(&stored).unwrap(),
        json!({"review": "outside"}),
        "what it may not change is as it was written"
    );
    judge.until_told("else", |told| !told.contains("Warning")).await;
}

/// A question that begins and goes on never.
struct Endless(Arc<AtomicUsize>);

impl hyper::body::Body for Endless {
    type Data = hyper::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        // Asked for by a client that is connected and has sent its headers.
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

/// A client whose first request makes a connection of its own.
fn stranger() -> reqwest::Client {
    reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_slowly_or_too_much_keeps_no_other_question_waiting() {
    let judge = Judge::asked("besieged", false).await;
    let configuration = judge.configuration("ValidatingWebhookConfiguration").await.unwrap();
    let url = configuration["webhooks"][0]["clientConfig"]["url"].as_str().unwrap().to_owned();
    let group = &judge.villain.group;
    let question = |user: &str, spec: Value| {
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "1", "operation": "CREATE", "namespace": judge.villain.namespace, "name": "a",
            "kind": {"group": group, "version": "v1alpha1", "kind": "Villain"}, "userInfo": {"username": user},
            "object": {"metadata": {"name": "a"}, "spec": spec},
        }})
    };
    let begun = Arc::new(AtomicUsize::new(0));
    let besiegers: Vec<_> = (0..100)
        .map(|_| {
            let request = stranger().post(&url).body(reqwest::Body::wrap(Endless(begun.clone())));
            tokio::spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) })
        })
        .collect();
    wait::until(SOON, "all of them to be let in", async || match begun.load(Ordering::Relaxed) {
        begun if begun < 100 => Err(begun),
        _ => Ok(()),
    })
    .await
    .unwrap();
    let answer = stranger().post(&url).json(&question("somebody", json!({"review": "deny"}))).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["response"]["allowed"], false, "{answer}");

    // What is small in bytes and large in memory is not read at all.
    let bomb = question("somebody", json!({"objects": vec![json!({"": 0}); 200_000]}));
    let refused = wait::until(SOON, "a turn for a large question", async || {
        let answer = stranger().post(&url).json(&bomb).send().await.map_err(|error| error.to_string())?;
        if answer.status() == 503 { Err("besieged".to_owned()) } else { Ok(answer) }
    });
    assert_eq!(refused.await.unwrap().status(), 400);
    for besieger in besiegers {
        assert!([408, 503].contains(&besieger.await.unwrap().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_plugin_may_change_is_changed_before_it_is_stored() {
    let judge = Judge::asked("changer", true).await;
    wait::until(SOON, "a write to be changed", async || {
        judge.kubectl.apply(&judge.owner("a", &json!({"review": "change"}))).await.unwrap();
        match judge.stored("a", ".reviewed").await {
            reviewed if reviewed == "yes" => Ok(()),
            reviewed => Err(reviewed),
        }
    })
    .await
    .unwrap();
    assert!(judge.configuration("ValidatingWebhookConfiguration").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_the_plugin_waits_for_nobody() {
    let judge = Judge::asked("unlocked", false).await;
    let account = judge.villain.until_plugin(&[("Ready", "True", "Active")]).await["spec"]["serviceAccountRef"].clone();
    let user = format!("system:serviceaccount:{}:{}", account["namespace"].as_str().unwrap(), account["name"].as_str().unwrap());
    let apply = ["apply", "--server-side", "-f", "-", "--as", &user];
    judge.kubectl.run_with_input(&apply, &judge.owner("by-the-host", &json!({"review": "deny"}))).await.unwrap();
    // Everybody else is still asked about.
    judge.until_denied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_lost_is_made_anew_and_the_api_server_told() {
    let judge = Judge::asked("renewed", false).await;
    let before = judge.bundle().await;
    let host = judge.villain.stage.cluster.kubectl().unwrap().in_namespace(&judge.villain.stage.installation.namespace);
    host.run(&["delete", "secret", SECRET]).await.unwrap();
    wait::until(wait::PATIENCE, "another authority", async || {
        let now = judge.bundle().await;
        if now == before { Err("the same") } else { Ok(()) }
    })
    .await
    .unwrap();
    judge.until_denied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_taken_back_and_a_plugin_that_goes_are_asked_no_more() {
    let judge = Judge::asked("retired", false).await;
    judge.villain.change_plugin(&json!({"grants": {"admission": null}})).await;
    judge.until_allowed().await;
    judge.villain.until_plugin(&[("PermissionsGranted", "False", "MissingGrant"), ("Ready", "True", "ServingPrevious")]).await;
    wait::until(SOON, "the configuration to go", async || match judge.configuration("ValidatingWebhookConfiguration").await {
        None => Ok(()),
        Some(left) => Err(left.to_string()),
    })
    .await
    .unwrap();

    let leaving = Judge::asked("leaving", false).await;
    let plugins: Api<DynamicObject> = Api::all_with(leaving.villain.kube.clone(), &objects::plugins());
    plugins.delete(&leaving.villain.name, &DeleteParams::default()).await.unwrap();
    leaving.until_allowed().await;
    wait::until(SOON, "the configuration to go with its Plugin", async || {
        match leaving.configuration("ValidatingWebhookConfiguration").await {
            None => Ok(()),
            Some(left) => Err(left.to_string()),
        }
    })
    .await
    .unwrap();
}
