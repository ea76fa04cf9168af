//! What a well-behaved plugin gets and gives.

use banhbaoring_api::Grants;
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_hostile::Puppet;
use banhbaoring_pipeline::contract::{ApplyMode, FailureClass, State};
use banhbaoring_pipeline::plugins::ActivePlugin;
use banhbaoring_pipeline::render::Render;
use banhbaoring_sandbox::{Checked, ContractVersion, Interface, Modules, TrustedComponent};
use serde_json::json;

use crate::{POOLING, behaving, config_map, puppet, request, sandboxes};

#[test]
fn a_plugin_describes_itself_and_renders_what_its_owner_asks_for() {
    for sandbox in sandboxes() {
        let module = puppet(sandbox);
        assert_eq!(module.version(), ContractVersion::V0_1);
        assert_eq!(module.interfaces(), [Interface::Metadata, Interface::Component]);
        let descriptor = module.describe().unwrap();
        assert_eq!((descriptor.name.as_str(), descriptor.version.as_str()), ("puppet", "1.0.0"));
        assert_eq!(descriptor.kinds[0].crd, Puppet::default().crd());
        assert_eq!(descriptor.components[0].kind, "tests.banhbaoring.io/Puppet");
        assert_eq!(descriptor.components[0].condition_types, ["PuppetReady"]);

        let objects = [config_map("a"), config_map("b")];
        let response = module.reconcile(&request(json!({ "objects": objects }))).unwrap().unwrap();
        assert_eq!(response.objects.iter().map(|o| &o.manifest).collect::<Vec<_>>(), objects.iter().collect::<Vec<_>>());
        assert!(response.objects.iter().all(|o| o.mode == ApplyMode::Apply && !o.keep));
        assert_eq!((response.state, response.reason.as_str()), (State::Ready, "AsAsked"));
    }
}

#[test]
fn a_plugins_own_failure_is_its_answer_and_not_the_hosts() {
    let failure = puppet(&POOLING).reconcile(&behaving("refuse")).unwrap().unwrap_err();
    assert_eq!((failure.class, failure.reason.as_str()), (FailureClass::InvalidConfig, "Refused"));
    assert_eq!(failure.field.as_deref(), Some("spec.behaviour"));
}

#[test]
fn an_answer_of_the_testers_own_comes_back_whole() {
    let answer = json!({
        "objects": [{"manifest": config_map("a"), "mode": "create-only", "keep": true, "exclusive": ["/data"], "recreate": {"orphan": true}}],
        "secrets": [{"name": "s", "class": {"renewable": 60}, "entries": [{"key": "k", "generator": "bytes", "spec": {"n": 32}}]}],
        "needs": [{"id": "n", "kind": "http", "mode": {"poll": 30}, "spec": {"url": "https://example.com"}}],
        "actions": [{"id": "a", "kind": "run", "spec": {}}],
        "metrics": [{"name": "m", "labels": [{"key": "k", "value": "v"}], "value": 1.5}],
        "requeue-after-seconds": 30,
        "state": "blocked",
    });
    let puppet = Puppet { answers: vec![("own".to_owned(), answer)], ..Puppet::default() };
    for sandbox in sandboxes() {
        let module = crate::load(sandbox, puppet.component(), banhbaoring_sandbox::CallLimits::default());
        let response = module.reconcile(&behaving("own")).unwrap().unwrap();
        let object = &response.objects[0];
        assert_eq!((object.mode, object.keep, object.recreate.unwrap().orphan), (ApplyMode::CreateOnly, true, true));
        assert_eq!(response.secrets[0].entries[0].spec, json!({"n": 32}));
        assert_eq!(response.needs[0].spec, json!({"url": "https://example.com"}));
        assert_eq!(response.actions[0].kind, "run");
        assert_eq!(response.metrics[0].labels, [("k".to_owned(), "v".to_owned())]);
        assert_eq!((response.state, response.requeue_after_seconds), (State::Blocked, Some(30)));
    }
}

#[test]
fn what_was_not_verified_is_not_taken_for_it() {
    let bytes = Puppet::default().component();
    let digest = TrustedComponent::local_file(bytes.clone()).digest();
    let verified = TrustedComponent::verified(bytes.clone(), &digest, "release-key").unwrap();
    assert_eq!(POOLING.load(&verified, Default::default()).unwrap().verified_by(), Some("release-key"));
    let other = digest.replace("sha256:", "sha256:0");
    assert_eq!(TrustedComponent::verified(bytes, &other, "release-key").unwrap_err().reason(), "DigestMismatch");
}

#[test]
fn the_pipeline_reaches_a_revision_by_name_and_digest() {
    let plugin = |digest: &str| ActivePlugin {
        name: "puppet".to_owned(),
        digest: digest.to_owned(),
        descriptor: puppet(&POOLING).describe().unwrap(),
        grants: Grants::default(),
        account: NamespacedName { namespace: "plugins".to_owned(), name: "puppet".to_owned() },
        config: json!({}),
        allowed_namespaces: Vec::new(),
    };
    let empty = Modules::default();
    let first = empty.with("puppet", "sha256:1", puppet(&POOLING));
    let both = first.with("puppet", "sha256:2", puppet(&POOLING));
    let ask = |modules: &Modules, digest: &str| modules.reconcile(&plugin(digest), &request(json!({})));

    assert_eq!(ask(&empty, "sha256:1").unwrap_err().reason, "PluginNotLoaded");
    assert!(ask(&first, "sha256:1").is_ok());
    assert_eq!(ask(&first, "sha256:2").unwrap_err().reason, "PluginNotLoaded", "a swap does not change a set in place");
    assert!(ask(&both, "sha256:1").is_ok() && ask(&both, "sha256:2").is_ok(), "old and new serve side by side");
    let swapped = both.only("puppet", "sha256:2");
    assert!(swapped.get("puppet", "sha256:1").is_none() && swapped.get("puppet", "sha256:2").is_some());
    assert!(both.without("puppet").get("puppet", "sha256:1").is_none());

    let failure = Checked(both).reconcile(&plugin("sha256:1"), &behaving("trap")).unwrap_err();
    assert_eq!((failure.class, failure.reason.as_str()), (FailureClass::Plugin, "PluginTrapped"));
}
