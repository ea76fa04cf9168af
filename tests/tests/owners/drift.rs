//! What people do to a cluster's parts by hand.

use banhbaoring_testing::wait;
use banhbaoring_tests::survey::{text, uids};
use banhbaoring_tests::team::{PATIENCE, parts_of};
use serde_json::{Value, json};

use crate::support::{changed, crew};

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_we_own_are_put_back_and_what_others_added_stays() {
    let crew = crew("drift").await;
    crew.settled("a", json!({})).await;
    let before = crew.children("a").await.unwrap();

    // Edits of what we own: a value, an item, a whole list, a scale, a label, an owner reference.
    for (object, patch) in [
        ("configmap/a-config", json!({"data": {"config.hcl": "ui = false"}})),
        ("role/a", json!({"rules": []})),
        ("service/a-active", json!({"metadata": {"labels": {"banhbaoring.io/owner-uid": null}}})),
        ("serviceaccount/a", json!({"metadata": {"ownerReferences": null}})),
        ("poddisruptionbudget/a-pdb", json!({"spec": {"maxUnavailable": 3}})),
        ("networkpolicy/a-network-policy", json!({"spec": {"ingress": null}})),
    ] {
        crew.patch(object, &patch).await.unwrap();
    }
    let port = r#"[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9999}]"#;
    crew.kubectl.run(&["patch", "service/a-public", "--type=json", "-p", port]).await.unwrap();
    crew.kubectl.run(&["scale", "statefulset/a", "--replicas=0"]).await.unwrap();

    // Additions of others.
    crew.patch("configmap/a-config", &json!({"data": {"extra": "theirs"}})).await.unwrap();
    crew.kubectl.run(&["annotate", "service/a-public", "example.com/note=theirs"]).await.unwrap();
    crew.kubectl.run(&["label", "networkpolicy/a-network-policy", "example.com/team=theirs"]).await.unwrap();
    let sidecar = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"},
        "spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "example.com/sidecar:1"}]}}}});
    let injector = ["apply", "--server-side", "--field-manager=injector", "-f", "-"];
    crew.kubectl.run_with_input(&injector, &sidecar.to_string()).await.unwrap();

    let ours = [
        ("ConfigMap/a-config", "/data/config.hcl"),
        ("Role/a", "/rules"),
        ("Service/a-active", "/metadata/labels/banhbaoring.io~1owner-uid"),
        ("ServiceAccount/a", "/metadata/ownerReferences"),
        ("PodDisruptionBudget/a-pdb", "/spec/maxUnavailable"),
        ("NetworkPolicy/a-network-policy", "/spec/ingress"),
        ("Service/a-public", "/spec/ports"),
        ("StatefulSet/a", "/spec/replicas"),
    ];
    let restored = async || {
        let now = crew.children("a").await.map_err(|error| format!("{error:#}"))?;
        for (name, pointer) in ours {
            let (wanted, found) = (before[name].pointer(pointer), now.get(name).and_then(|object| object.pointer(pointer)));
            if wanted != found {
                return Err(format!("{name} {pointer}: expected {wanted:?}, found {found:?}"));
            }
        }
        Ok(now)
    };
    crew.pulse().await;
    let now = wait::until(PATIENCE, "all edits to be undone", restored).await.unwrap();
    assert_eq!(uids(&now), uids(&before), "nothing was made anew");
    assert_additions(&now);

    // Nor does a change of ours take away what is theirs.
    crew.patch("openbaocluster/a", &json!({"spec": {"logLevel": "debug", "pod": {"priorityClassName": "system-cluster-critical"}}}))
        .await
        .unwrap();
    let now = wait::until(PATIENCE, "the change", async || {
        let now = crew.children("a").await.map_err(|error| format!("{error:#}"))?;
        let class = text(&now["StatefulSet/a"], "/spec/template/spec/priorityClassName");
        let hcl = text(&now["ConfigMap/a-config"], "/data/config.hcl");
        if class.is_empty() || !hcl.contains("debug") { Err(format!("priority class {class:?}, {hcl}")) } else { Ok(now) }
    });
    assert_additions(&now.await.unwrap());
}

fn assert_additions(objects: &banhbaoring_tests::survey::Objects) {
    assert_eq!(text(&objects["ConfigMap/a-config"], "/data/extra"), "theirs");
    assert_eq!(text(&objects["Service/a-public"], "/metadata/annotations/example.com~1note"), "theirs");
    assert_eq!(text(&objects["NetworkPolicy/a-network-policy"], "/metadata/labels/example.com~1team"), "theirs");
    let containers = objects["StatefulSet/a"].pointer("/spec/template/spec/containers").and_then(Value::as_array).unwrap();
    let names: Vec<&str> = containers.iter().map(|container| text(container, "/name")).collect();
    assert_eq!(names, ["openbao", "sidecar"]);
}

/// What is made once and never again.
const MADE_ONCE: [&str; 2] = ["Secret/a-tls-ca", "Secret/a-unseal-key"];

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_deleted_comes_back() {
    let crew = crew("deleted").await;
    crew.settled("a", json!({})).await;
    let children = crew.children("a").await.unwrap();
    let before = uids(&children);
    let hash = "/spec/template/metadata/annotations/openbao.org~1tls-hash";
    let certificate = text(&crew.get("statefulset/a").await.unwrap(), hash).to_owned();
    let lost: Vec<&String> = before.keys().filter(|name| !MADE_ONCE.contains(&name.as_str())).collect();
    for name in &lost {
        crew.kubectl.run(&["delete", name.as_str(), "--wait=false"]).await.unwrap();
    }
    crew.pulse().await;
    wait::until(PATIENCE, "all parts to be new", async || {
        let now = uids(&crew.children("a").await.map_err(|error| format!("{error:#}"))?);
        let old: Vec<_> = lost.iter().filter(|name| now.get(**name).is_none_or(|uid| *uid == before[**name])).collect();
        if old.is_empty() { Ok(()) } else { Err(format!("{old:?} are gone or the old ones")) }
    })
    .await
    .unwrap();
    let after = crew.until_children("a", &parts_of("a")).await.unwrap();
    assert!(!certificate.is_empty());
    assert_ne!(text(&after["StatefulSet/a"], hash), certificate, "pods roll with a new certificate");
    for name in MADE_ONCE {
        assert_eq!((uids(&after)[name].as_str(), &after[name]["data"]), (before[name].as_str(), &children[name]["data"]), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_opens_is_closed_again() {
    let crew = crew("ports").await;
    crew.settled("a", json!({})).await;
    let before = crew.children("a").await.unwrap();
    let port = r#"[{"op": "add", "path": "/spec/ports/-", "value": {"name": "theirs", "port": 9999, "targetPort": 22}}]"#;
    let services = ["a", "a-active", "a-public"];
    for service in services {
        crew.kubectl.run(&["patch", "service", service, "--type=json", "-p", port]).await.unwrap();
    }
    crew.pulse().await;
    let now = wait::until(PATIENCE, "ours alone", async || {
        let now = crew.children("a").await.map_err(|error| format!("{error:#}"))?;
        for service in services.map(|service| format!("Service/{service}")) {
            let (wanted, found) = (&before[&service]["spec"]["ports"], &now[&service]["spec"]["ports"]);
            if wanted != found {
                return Err(format!("{service}: expected {wanted}, found {found}"));
            }
        }
        Ok(now)
    });
    assert_eq!(uids(&now.await.unwrap()), uids(&before), "nothing was made anew");
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
    let still = crew.until_still("a").await;
    crew.resync(&["a"], 2).await;
    assert_eq!(changed(&still, &crew.still("a").await), [] as [&str; 0], "and no fight goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_cannot_be_put_back_is_told_and_ends_when_it_is_undone() {
    let crew = crew("renumbered").await;
    crew.settled("a", json!({})).await;
    // A port is known by its number: ours is gone, theirs has its name, and two of one name are invalid.
    let port = async |number: u16| {
        let patch = format!(r#"[{{"op": "replace", "path": "/spec/ports/0/port", "value": {number}}}]"#);
        crew.kubectl.run(&["patch", "service/a-public", "--type=json", "-p", &patch]).await.unwrap();
        crew.pulse().await;
    };
    port(9999).await;
    let told = crew.until_condition("a", "Reconciled", "False").await.unwrap();
    for part in ["a-public", "spec.ports"] {
        assert!(told["message"].as_str().unwrap().contains(part), "{part} in {told}");
    }
    port(443).await;
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
}
