//! A cluster whose spec says who must have signed the image: what its nodes run, and what its user reads, whatever tags and registries do.

use banhbaoring_artifact::{Digest, SigningKey};
use banhbaoring_testing::registry::Registry;
use banhbaoring_testing::wait;
use banhbaoring_tests::Repository;
use banhbaoring_tests::team::{PATIENCE, cluster, parts_of};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Crew, changed, crew};

/// Images of a team, in a registry of their own that the plugin may ask.
struct Images {
    registry: Registry,
    repository: Repository,
    name: String,
    key: SigningKey,
}

impl Images {
    async fn of(crew: &Crew) -> Self {
        let registry = Registry::start().await.unwrap();
        crew.may_ask(&registry).await;
        let path = "images/openbao";
        let repository = Repository::new(registry.host(), path).unwrap();
        let name = format!("{}/{path}", registry.host());
        Self { registry, repository, name, key: SigningKey::generate() }
    }

    /// Any bytes will do: no pod starts here.
    async fn push(&self, tag: &str) -> Digest {
        self.repository.push(format!("{tag} of {}", self.name).as_bytes(), tag).await.unwrap()
    }

    fn spec(&self, tag: &str, policy: &str, key: &SigningKey) -> Value {
        json!({"image": format!("{}:{tag}", self.name), "imageVerification": {"policy": policy, "publicKey": key.public_key_pem().unwrap()}})
    }

    fn pinned(&self, tag: &str, digest: &Digest) -> String {
        format!("{}:{tag}@{digest}", self.name)
    }
}

impl Crew {
    async fn image(&self, name: &str) -> String {
        let set = self.get(&format!("statefulset/{name}")).await.unwrap();
        set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    }

    async fn until_image(&self, name: &str, image: &str) {
        let found = wait::until(PATIENCE, format!("{name} to run {image}"), async || {
            let now = self.image(name).await;
            if now == image { Ok(()) } else { Err(format!("{now}; status {}", self.told(name).await)) }
        });
        found.await.unwrap();
    }

    /// Waits until the image's verdict has that reason.
    async fn until_verdict(&self, name: &str, status: &str, reason: &str) -> Value {
        let told = self.until_reason(name, "ImageVerified", status, reason).await.unwrap();
        println!("{name}: ImageVerified={status} {reason}: {}", told["message"].as_str().unwrap());
        told
    }

    /// Waits until who reads events is warned with that reason and in such words.
    async fn until_warned(&self, name: &str, reason: &str, words: &str) {
        let selector = format!("--field-selector=involvedObject.name={name},type=Warning,reason={reason}");
        let found = wait::until(PATIENCE, format!("an event {reason} of {name}"), async || {
            let told = self.kubectl.run(&["get", "events", &selector, "-o", "jsonpath={.items[*].message}"]).await.unwrap();
            if told.contains(words) { Ok(told) } else { Err(told) }
        });
        println!("{name}: event {reason}: {}", found.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_run_what_was_verified_wherever_the_tag_points_and_nothing_that_is_not_signed() {
    let crew = crew("verified").await;
    let images = Images::of(&crew).await;
    let good = images.push("2.4.0").await;
    images.repository.sign(&good, &images.key).await.unwrap();
    let next = images.push("2.4.1").await;

    crew.apply(&[cluster("a", &images.spec("2.4.0", "Block", &images.key))]).await.unwrap();
    crew.until_children("a", &parts_of("a")).await.unwrap();
    assert_eq!(crew.image("a").await, images.pinned("2.4.0", &good));
    crew.until_verdict("a", "True", "Verified").await;
    assert_eq!(crew.told("a").await["image"]["digest"], good.to_string());

    // The tag moves to something that nobody signed.
    images.repository.copy_tag("2.4.1", "2.4.0").await.unwrap();
    crew.resync(&["a"], 2).await;
    assert_eq!(crew.image("a").await, images.pinned("2.4.0", &good));

    crew.patch("openbaocluster/a", &json!({"spec": {"image": format!("{}:2.4.1", images.name), "logLevel": "debug"}})).await.unwrap();
    let told = crew.until_verdict("a", "False", "ImageUntrusted").await;
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("2.4.1 is not signed") && message.contains("cosign sign") && message.contains("policy: Block"), "{message}");
    let ready = crew.until_condition("a", "Ready", "False").await.unwrap();
    assert_eq!(ready["reason"], "ImageUntrusted");
    crew.resync(&["a"], 2).await;
    assert_eq!(crew.image("a").await, images.pinned("2.4.0", &good));
    crew.until_children("a", &parts_of("a")).await.unwrap();
    crew.until_warned("a", "ImageUntrusted", "policy: Block").await;

    images.repository.sign(&next, &images.key).await.unwrap();
    crew.until_image("a", &images.pinned("2.4.1", &next)).await;
    crew.until_verdict("a", "True", "Verified").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_key_keeps_a_cluster_from_being_made_with_block_and_is_warned_of_with_warn() {
    let crew = crew("wrong-key").await;
    let images = Images::of(&crew).await;
    let digest = images.push("2.4.0").await;
    images.repository.sign(&digest, &images.key).await.unwrap();
    let other = SigningKey::generate();
    crew.apply(&[cluster("blocked", &images.spec("2.4.0", "Block", &other)), cluster("warned", &images.spec("2.4.0", "Warn", &other))])
        .await
        .unwrap();
    crew.until_verdict("blocked", "False", "ImageUntrusted").await;
    crew.until_warned("blocked", "ImageUntrusted", "policy: Block").await;
    crew.until_children("warned", &parts_of("warned")).await.unwrap();
    assert_eq!(crew.image("warned").await, format!("{}:2.4.0", images.name));
    let told = crew.until_verdict("warned", "False", "ImageUntrusted").await;
    crew.until_warned("warned", "ImageUntrusted", "policy: Warn").await;
    assert!(told["message"].as_str().unwrap().contains("policy: Warn"), "{told}");
    let children = crew.children("blocked").await.unwrap();
    // The key is what the unseal provider asks for, and nothing is sealed with it yet.
    let made: Vec<&str> = children.keys().map(String::as_str).filter(|part| *part != "Secret/blocked-unseal-key").collect();
    assert_eq!(made, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_neither_stops_what_runs_nor_lets_anything_new_pass() {
    let crew = crew("registry-down").await;
    let images = Images::of(&crew).await;
    let digest = images.push("2.4.0").await;
    images.repository.sign(&digest, &images.key).await.unwrap();
    crew.apply(&[cluster("a", &images.spec("2.4.0", "Block", &images.key))]).await.unwrap();
    crew.until_children("a", &parts_of("a")).await.unwrap();
    crew.until_verdict("a", "True", "Verified").await;
    images.registry.server().kill();
    crew.patch("openbaocluster/a", &json!({"spec": {"networkPolicy": {"enabled": false}}})).await.unwrap();
    let mut parts = parts_of("a");
    parts.remove("NetworkPolicy/a-network-policy");
    crew.until_children("a", &parts).await.unwrap();
    assert_eq!(crew.image("a").await, images.pinned("2.4.0", &digest));
    crew.patch("openbaocluster/a", &json!({"spec": {"image": format!("{}:2.4.1", images.name)}})).await.unwrap();
    crew.until_verdict("a", "False", "RegistryUnavailable").await;
    crew.until_warned("a", "RegistryUnavailable", "policy: Block").await;
    assert_eq!(crew.image("a").await, images.pinned("2.4.0", &digest));
    crew.until_children("a", &parts).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_warn_everything_runs_and_its_user_is_told_of_what_is_not_signed_has_moved_or_cannot_be_asked_about() {
    let crew = crew("warned").await;
    let images = Images::of(&crew).await;
    let named = |tag: &str| format!("{}:{tag}", images.name);
    let run = async |tag: &str| crew.patch("openbaocluster/a", &json!({"spec": {"image": named(tag)}})).await.unwrap();
    let good = images.push("2.4.0").await;

    crew.apply(&[cluster("a", &images.spec("2.4.0", "Warn", &images.key))]).await.unwrap();
    crew.until_children("a", &parts_of("a")).await.unwrap();
    let told = crew.until_verdict("a", "False", "ImageUntrusted").await;
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("2.4.0 is not signed") && message.contains("cosign sign") && message.contains("policy: Warn"), "{message}");
    crew.until_warned("a", "ImageUntrusted", "policy: Warn").await;
    assert_eq!(crew.image("a").await, named("2.4.0"));

    images.repository.sign(&good, &images.key).await.unwrap();
    crew.until_image("a", &images.pinned("2.4.0", &good)).await;
    crew.until_verdict("a", "True", "Verified").await;

    // The tag moves to something that nobody signed.
    images.push("2.4.1").await;
    images.repository.copy_tag("2.4.1", "2.4.0").await.unwrap();
    crew.resync(&["a"], 2).await;
    assert_eq!(crew.image("a").await, images.pinned("2.4.0", &good));
    run("2.4.1").await;
    crew.until_image("a", &named("2.4.1")).await;
    crew.until_verdict("a", "False", "ImageUntrusted").await;

    images.registry.server().kill();
    run("2.4.2").await;
    crew.until_image("a", &named("2.4.2")).await;
    let told = crew.until_verdict("a", "False", "RegistryUnavailable").await;
    assert!(told["message"].as_str().unwrap().contains("policy: Warn"), "{told}");
    crew.until_warned("a", "RegistryUnavailable", "policy: Warn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_stands_while_a_changed_plugin_asks_anew_what_it_rested_on() {
    let crew = crew("asked-anew").await;
    let images = Images::of(&crew).await;
    images.push("2.4.0").await;
    crew.apply(&[cluster("a", &images.spec("2.4.0", "Warn", &images.key))]).await.unwrap();
    crew.until_children("a", &parts_of("a")).await.unwrap();
    crew.until_verdict("a", "False", "ImageUntrusted").await;
    crew.until_all_is_told("a").await;
    // Answers to another change that a test beside this one made may be on their way.
    crew.resync(&["a"], 1).await;
    let before = crew.still("a").await;

    images.registry.server().signal(Signal::STOP).unwrap();
    let kept_back = crew.kept_back("a");
    crew.may_ask(&images.registry).await;
    let looked = wait::until(PATIENCE, "a look whose answers are late", async || {
        let now = crew.kept_back("a");
        if now > kept_back { Ok(()) } else { Err(format!("{}", crew.told("a").await)) }
    });
    looked.await.unwrap();
    images.registry.server().signal(Signal::CONT).unwrap();
    crew.resync(&["a"], 2).await;
    assert_eq!(changed(&before, &crew.still("a").await), [] as [&str; 0], "{}", crew.told("a").await);
}
