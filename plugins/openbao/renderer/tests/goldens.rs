//! The whole answer for the examples, each provider and each version of OpenBao. The requests are written by this test too
//! (`UPDATE_GOLDENS=1`), because a request is the example as the host sends it; the same files run through the sandbox elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};

use banhbaoring_plugin_openbao::Exports;
use banhbaoring_sdk::testing;
use banhbaoring_sdk::wit::{Request, Seal};
use serde_json::Value;
use support::world::World;
use support::{example, opening, owner, request, seals};

/// Each stage of day 2, as the host would ask about it.
fn day_2() -> Vec<(&'static str, Request)> {
    let stage = |world: &mut World, step: &str| {
        world.until(step, |_, response| response.status.parse::<Value>().unwrap()["operation"]["step"] == step);
        world.asked.clone().unwrap()
    };
    let mut calm = World::calm("");
    calm.leader = Some((2, 9));
    calm.tick();
    let mut cases = vec![("day-2-calm", calm.asked.clone().unwrap())];

    let mut upgrade = calm.clone();
    upgrade.spec = "logLevel: debug".to_owned();
    cases.push(("upgrade-1-new-template", stage(&mut upgrade, "Starting")));
    cases.push(("upgrade-2-leader-in-the-way", stage(&mut upgrade, "SteppingDown")));
    let bad = upgrade.set.as_ref().unwrap().update.clone();
    cases.push(("upgrade-3-restart", stage(&mut upgrade, "Restarting")));
    let mut stuck = upgrade.clone();
    cases.push(("upgrade-4-node-starts", stage(&mut upgrade, "WaitingForNode")));
    cases.push(("upgrade-5-next-node", stage(&mut upgrade, "Restarting")));
    stuck.bad.insert(bad);
    cases.push(("upgrade-stuck", stage(&mut stuck, "UpgradeStuck")));
    stuck.spec = String::new();
    cases.push(("upgrade-reverted-1-old-template", stage(&mut stuck, "Starting")));
    cases.push(("upgrade-reverted-2-restart", stage(&mut stuck, "Restarting")));

    let mut scale = World::calm("replicas: 5");
    scale.leader = Some((4, 9));
    scale.spec = "replicas: 3".to_owned();
    cases.push(("scale-5-to-3-1-first-look", stage(&mut scale, "Waiting")));
    cases.push(("scale-5-to-3-2-leader-in-the-way", stage(&mut scale, "SteppingDown")));
    cases.push(("scale-5-to-3-3-raft", stage(&mut scale, "RemovingPeer")));
    cases.push(("scale-5-to-3-4-pod", stage(&mut scale, "RemovingNode")));
    cases.push(("scale-5-to-3-5-volumes", stage(&mut scale, "DeletingVolumes")));
    cases.push(("scale-5-to-3-6-volumes-gone", stage(&mut scale, "VolumesDeleted")));
    let mut grown = calm;
    grown.spec = "replicas: 5".to_owned();
    cases.push(("scale-3-to-5", stage(&mut grown, "AddingNodes")));
    let manual = |replicas: i32| format!("{{replicas: {replicas}, initialization: {{mode: Manual}}}}");
    let mut blocked = World::calm(&manual(5));
    blocked.lets_in = false;
    blocked.spec = manual(3);
    cases.push(("scale-down-blocked", stage(&mut blocked, "ScaleDownBlocked")));
    cases
}

fn cases() -> Vec<(&'static str, Request)> {
    first_requests().into_iter().chain(opening::stages()).chain(day_2()).collect()
}

fn first_requests() -> Vec<(&'static str, Request)> {
    let with = |name: &str, seal: Seal| request(&example(name), Some(seal));
    let monitored = |name: &str| {
        let mut request = with(name, seals::generated_key(name));
        request.platform.apis.push("monitoring.coreos.com/v1/ServiceMonitor".to_owned());
        request.platform.apis.sort();
        request
    };
    let version = |version: &str, seal: Seal| request(&owner(&format!("version: {version}")), Some(seal));
    let tls = |tls: &str| request(&owner(tls), Some(seals::generated_key("prod")));
    vec![
        ("minimal", with("minimal", seals::generated_key("minimal"))),
        ("production", with("production", seals::awskms())),
        ("unseal-static", with("unseal-static", seals::generated_key("unseal-static"))),
        ("unseal-awskms", with("unseal-awskms", seals::awskms())),
        ("unseal-gcpkms", with("unseal-gcpkms", seals::gcpckms())),
        ("unseal-azurekv", with("unseal-azurekv", seals::azurekeyvault())),
        ("unseal-transit", with("unseal-transit", seals::transit())),
        ("plugin-catalog", monitored("plugin-catalog")),
        ("plugin-catalog-not-served", with("plugin-catalog", seals::generated_key("plugin-catalog"))),
        ("version-2-3", version("2.3.2", seals::transit())),
        ("version-2-3-static", version("2.3.2", seals::generated_key("prod"))),
        ("version-2-5", version("2.5.0", seals::awskms())),
        ("version-2-5-plugin", version("2.5.0", seals::from_plugin(seals::awskms()))),
        ("version-2-6", version("2.6.2", seals::awskms())),
        ("version-2-6-plugin", version("2.6.2", seals::from_plugin(seals::awskms()))),
        ("version-2-7", version("2.7.0", seals::awskms())),
        ("version-2-7-plugin", version("2.7.0", seals::from_plugin(seals::awskms()))),
        ("version-2-7-transit", version("2.7.0", seals::transit())),
        ("tls-secret", tls("tls: {mode: Secret, secretName: my-tls, dnsNames: [bao.example.com]}")),
        ("tls-acme", tls("tls: {mode: ACME, dnsNames: [bao.example.com], acme: {email: ops@example.com, caConfigMap: my-ca}}")),
        ("no-unseal-provider", request(&owner("unseal: {type: ocikms, keyId: ocid1}"), None)),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

#[test]
fn the_whole_answer_is_as_it_was() {
    for (name, request) in cases() {
        let path = folder().join(name).join("request.yaml");
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            testing::write(&path, &request).unwrap();
        }
        let stored: Request = testing::read(&path).unwrap();
        assert!(stored == request, "{} is not what the example gives any more; run with UPDATE_GOLDENS=1", path.display());
    }
    testing::check::<Exports>(folder()).unwrap();

    let entries = std::fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let mut stored: Vec<_> = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect();
    stored.sort();
    let mut known: Vec<_> = cases().into_iter().map(|(name, _)| name).collect();
    known.sort_unstable();
    assert_eq!(stored, known, "no case is left over");
}

#[test]
fn what_the_plugin_says_of_itself_is_as_it_was() {
    testing::describe::<Exports>(folder().join("describe.yaml")).unwrap();
}
