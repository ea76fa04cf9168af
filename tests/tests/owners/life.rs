//! A cluster's life: applied, changed, made smaller, deleted.

use std::collections::BTreeMap;

use banhbaoring_testing::tools::workspace_root;
use banhbaoring_testing::wait;
use banhbaoring_tests::survey::{recorded, text, uids};
use banhbaoring_tests::team::{PATIENCE, cluster, condition, parts_of};
use serde_json::{Value, json};

use crate::support::{changed, crew};

/// What stays when its cluster goes.
const KEPT: [&str; 3] = ["ConfigMap/minimal-ca", "Secret/minimal-tls-ca", "Secret/minimal-unseal-key"];

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_cluster_gets_all_of_its_parts_and_says_how_it_fares() {
    let crew = crew("create").await;
    let file = workspace_root().join("examples/minimal.yaml").display().to_string();
    crew.kubectl.run(&["apply", "-f", &file]).await.unwrap();
    let children = crew.until_children("minimal", &parts_of("minimal")).await.unwrap();

    let uid = crew.uid("minimal").await.unwrap();
    for (name, child) in &children {
        assert_eq!(text(child, "/metadata/labels/app.kubernetes.io~1managed-by"), "banhbaoring", "{name}");
        assert_eq!(text(child, "/metadata/labels/banhbaoring.io~1component"), "openbao", "{name}");
        let owners = child.pointer("/metadata/ownerReferences").cloned().unwrap_or_default();
        if KEPT.contains(&name.as_str()) {
            assert_eq!(owners, Value::Null, "{name}: garbage collection would take what is kept");
        } else {
            assert_eq!(owners[0]["uid"], uid, "{name}");
            assert_eq!(owners[0]["controller"], true, "{name}");
            assert_eq!(owners.as_array().unwrap().len(), 1, "{name}");
        }
    }
    let inventory = crew.inventory("minimal").await.unwrap();
    let live: BTreeMap<_, _> = uids(&children).into_iter().map(|(name, uid)| (name, Some(uid))).collect();
    assert_eq!(recorded(&inventory.spec), live);
    let owner = &inventory.spec.owner;
    assert_eq!((owner.kind.as_str(), owner.namespace.as_ref(), owner.name.as_str()), ("OpenBaoCluster", Some(&crew.namespace), "minimal"));
    let kept: Vec<String> =
        inventory.spec.children.iter().filter(|child| child.keep).map(|child| format!("{}/{}", child.kind, child.name)).collect();
    assert_eq!(kept.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), KEPT.into());

    for (type_, status) in [("Reconciled", "True"), ("UnsealConfigured", "True"), ("TLSReady", "True"), ("Ready", "False")] {
        crew.until_condition("minimal", type_, status).await.unwrap();
    }
    // There is no kubelet: the pods are made, and stay pending.
    let told = crew.until("minimal", "phase Initializing", |cluster| match text(cluster, "/status/phase") {
        "Initializing" => Ok(()),
        phase => Err(format!("phase {phase}")),
    });
    let told = told.await.unwrap();
    assert_eq!(told["status"]["observedGeneration"], told["metadata"]["generation"]);
    assert_eq!(told["status"]["nodes"], "0/3");
    assert_eq!(told["status"]["components"][0]["name"], "openbao");
    assert_eq!(told["status"]["components"][0]["plugin"], "openbao");
    assert_eq!(told["status"]["components"][0]["state"], "Progressing");
    for ordinal in 0..3 {
        let pod = format!("pod/minimal-{ordinal}");
        wait::until(PATIENCE, &pod, async || crew.get(&pod).await.map_err(|error| error.to_string())).await.unwrap();
    }
    let key = crew.get("secret/minimal-unseal-key").await.unwrap();
    assert_eq!(text(&key, "/data/key").len(), 44, "32 bytes in base64");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_what_it_concerns_and_nothing_else() {
    let crew = crew("change").await;
    let before = crew.settled("a", json!({})).await;
    let hash = async || {
        let set = crew.get("statefulset/a").await.unwrap();
        text(&set, "/spec/template/metadata/annotations/openbao.org~1config-hash").to_owned()
    };
    let first = hash().await;
    assert!(!first.is_empty());
    crew.patch("openbaocluster/a", &json!({"spec": {"logLevel": "debug"}})).await.unwrap();
    wait::until(PATIENCE, "the new configuration", async || {
        let config = crew.get("configmap/a-config").await.map_err(|error| error.to_string())?;
        let hcl = text(&config, "/data/config.hcl");
        if hcl.contains("debug") && hash().await != first { Ok(()) } else { Err(hcl.to_owned()) }
    })
    .await
    .unwrap();
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
    let after = crew.until_still("a").await;
    assert_eq!(changed(&before, &after), ["ConfigMap/a-config", "StatefulSet/a", "the inventory", "the owner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_desired_is_deleted_and_nothing_else() {
    let crew = crew("prune").await;
    let before = crew.settled("a", json!({})).await;
    crew.patch("openbaocluster/a", &json!({"spec": {"networkPolicy": {"enabled": false}}})).await.unwrap();
    let mut parts = parts_of("a");
    parts.remove("NetworkPolicy/a-network-policy");
    crew.until_children("a", &parts).await.unwrap();
    let after = crew.until_still("a").await;
    assert_eq!(changed(&before, &after), ["NetworkPolicy/a-network-policy", "the inventory", "the owner"]);
    crew.patch("openbaocluster/a", &json!({"spec": {"networkPolicy": {"enabled": true}}})).await.unwrap();
    crew.until_children("a", &parts_of("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_cluster_takes_its_parts_along_and_leaves_its_keys() {
    let crew = crew("delete").await;
    let all = json!({"deletionPolicy": "DeleteAll"});
    crew.apply(&[cluster("minimal", &json!({})), cluster("all", &all)]).await.unwrap();
    let mut keys = BTreeMap::new();
    let mut owners = Vec::new();
    for name in ["minimal", "all"] {
        crew.until_children(name, &parts_of(name)).await.unwrap();
        keys.insert(name, crew.get(&format!("secret/{name}-unseal-key")).await.unwrap());
        owners.push((name, crew.uid(name).await.unwrap()));
    }
    crew.kubectl.run(&["delete", "openbaocluster", "minimal", "all"]).await.unwrap();
    for (name, uid) in owners {
        let kept: Vec<&str> = if name == "minimal" { KEPT.to_vec() } else { vec!["Secret/all-unseal-key"] };
        wait::until(PATIENCE, format!("{name} to leave {kept:?}"), async || {
            let left = crew.survey.children(&crew.namespace, &uid).await.map_err(|error| error.to_string())?;
            let left: Vec<&String> = left.keys().collect();
            let inventory = crew.survey.inventory(&uid).await.map_err(|error| error.to_string())?.is_some();
            if left == kept && !inventory { Ok(()) } else { Err(format!("left {left:?}, inventory {inventory}")) }
        })
        .await
        .unwrap();
        let key = crew.get(&format!("secret/{name}-unseal-key")).await.unwrap();
        assert_eq!(key, keys[name], "a key is kept as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_the_same_name_does_not_take_over_what_an_earlier_one_left() {
    let crew = crew("again").await;
    crew.apply(&[cluster("minimal", &json!({}))]).await.unwrap();
    crew.until_children("minimal", &parts_of("minimal")).await.unwrap();
    let key = crew.get("secret/minimal-unseal-key").await.unwrap();
    crew.kubectl.run(&["delete", "openbaocluster", "minimal"]).await.unwrap();
    wait::until(PATIENCE, "the StatefulSet to be gone", async || match crew.get("statefulset/minimal").await {
        Ok(_) => Err("it is there"),
        Err(_) => Ok(()),
    })
    .await
    .unwrap();
    crew.apply(&[cluster("minimal", &json!({}))]).await.unwrap();
    // What the garbage collector takes away meanwhile is told first.
    crew.until_reason("minimal", "Reconciled", "False", "NameTaken").await.unwrap();
    assert_eq!(crew.get("secret/minimal-unseal-key").await.unwrap(), key);

    // The way back: the key under another name, the owner says so, and then what was left is out of the way.
    let backup = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "backup"}, "data": key["data"]});
    crew.apply(&[backup, cluster("minimal", &json!({"unseal": {"type": "static", "restoreFrom": "backup"}}))]).await.unwrap();
    crew.until_condition("minimal", "Reconciled", "False").await.unwrap();
    crew.kubectl.run(&["delete", "secret/minimal-unseal-key", "secret/minimal-tls-ca", "configmap/minimal-ca"]).await.unwrap();
    crew.until_children("minimal", &parts_of("minimal")).await.unwrap();
    assert_eq!(condition(&crew.cluster("minimal").await.unwrap(), "Ready")["status"], "False");
    assert_eq!(crew.get("secret/minimal-unseal-key").await.unwrap()["data"], key["data"], "the same key");
}
