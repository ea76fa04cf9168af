//! `render` and `plan` on a laptop agree with what the operator applies.

use std::collections::BTreeSet;

use banhbaoring_testing::scratch::Scratch;
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_tests::survey::name_of;
use banhbaoring_tests::team::{cluster, parts_of};
use banhbaoring_tests::{Banhbaoring, Output};
use serde_json::{Value, json};

use crate::support::{Crew, changed, crew};

/// Exit code of `plan` where something would change.
const CHANGES: i32 = 2;

fn spec() -> Value {
    json!({
        "auditStorage": {"size": "1Gi"},
        "audit": [{"type": "file", "path": "disk", "options": {"file_path": "/bao/audit/audit.log"}}],
        "pod": {"resources": {"requests": {"cpu": "500m", "memory": "512Mi"}}, "priorityClassName": "system-cluster-critical"},
        "service": {"annotations": {"example.com/a": "b"}},
    })
}

impl Crew {
    async fn plan(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let world = &self.platform.world;
        let kubeconfig = world.cluster.kubeconfig().display().to_string();
        let plugins = workspace_root().join("target/plugins").display().to_string();
        let host = &world.installation.namespace;
        let common = ["plan", "--kubeconfig", &kubeconfig, "-n", &self.namespace, "--host-namespace", host, "--plugins", &plugins];
        Banhbaoring::find()?.call(&[&common, arguments].concat(), &[]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_agrees_with_what_the_operator_applied() {
    let crew = crew("plan").await;
    let scratch = Scratch::new("plan").unwrap();
    // Before: everything would be made, and nothing is.
    let file = scratch.write("a.yaml", cluster("a", &spec()).to_string()).unwrap().display().to_string();
    let planned = crew.plan(&["-f", &file]).await.unwrap();
    assert_eq!(planned.code, CHANGES, "{planned:?}");
    assert!(planned.stdout.contains(" 0 to change, 0 to delete, 0 unchanged"), "{}", planned.stdout);
    for part in parts_of("a").iter().filter(|part| *part != "ConfigMap/a-ca" && *part != "StatefulSet/a") {
        let (kind, name) = part.split_once('/').unwrap();
        let line = planned.stdout.lines().any(|line| line.starts_with('+') && line.contains(kind) && line.contains(&format!("/{name} ")));
        assert!(line, "{part} in {}", planned.stdout);
    }
    assert_eq!(crew.kubectl.run(&["get", "openbaoclusters,services,secrets", "-o", "name"]).await.unwrap().trim(), "");

    // After: nothing.
    crew.settled("a", spec()).await;
    let before = crew.until_all_is_told("a").await;
    let told_before = crew.told("a").await;
    for arguments in [["--owner", "openbaocluster/a"], ["-f", file.as_str()]] {
        let planned = crew.plan(&arguments).await.unwrap();
        assert_eq!(planned.code, 0, "{planned:?}");
        assert!(planned.stdout.contains("plan: 0 to create, 0 to change, 0 to delete"), "{}", planned.stdout);
    }
    // Of a change: what the operator does then.
    let mut changed_spec = spec();
    changed_spec["logLevel"] = "debug".into();
    changed_spec["networkPolicy"] = json!({"enabled": false});
    let file = scratch.write("b.yaml", cluster("a", &changed_spec).to_string()).unwrap().display().to_string();
    let planned = crew.plan(&["-f", &file, "-o", "json"]).await.unwrap();
    assert_eq!(planned.code, CHANGES, "{planned:?}");
    let told: Value = serde_json::from_str(&planned.stdout).unwrap();
    let named = |list: &str| -> BTreeSet<String> {
        let steps = told[list].as_array().unwrap().iter();
        steps
            .map(|step| format!("{}/{}", step["reference"]["kind"].as_str().unwrap(), step["reference"]["name"].as_str().unwrap()))
            .collect()
    };
    let planned: BTreeSet<String> = named("steps").into_iter().chain(named("prune")).collect();
    let now = crew.still("a").await;
    let told_now = crew.told("a").await;
    assert_eq!(changed(&before, &now), [] as [&str; 0], "a plan writes nothing; told before: {told_before:#?}, and now: {told_now:#?}");
    crew.apply(&[cluster("a", &changed_spec)]).await.unwrap();
    let mut parts = parts_of("a");
    parts.remove("NetworkPolicy/a-network-policy");
    crew.until_children("a", &parts).await.unwrap();
    let after = crew.until_still("a").await;
    let done: BTreeSet<String> = changed(&before, &after).into_iter().filter(|name| name.contains('/')).collect();
    assert_eq!(planned, done);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_reads_the_secrets_of_which_parts_carry_the_hash() {
    let crew = crew("planned-hash").await;
    let unseal = json!({
        "type": "transit", "address": "https://keys.example.com:8200", "mountPath": "transit", "keyName": "autounseal",
        "token": {"secretName": "transit-token", "key": "token"},
    });
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "transit-token"}, "stringData": {"token": "a token"}});
    let scratch = Scratch::new("planned-hash").unwrap();
    let owner = cluster("a", &json!({"unseal": unseal}));
    let file = scratch.write("a.yaml", owner.to_string()).unwrap().display().to_string();
    crew.apply(&[owner]).await.unwrap();
    let mut parts = parts_of("a");
    parts.remove("Secret/a-unseal-key");
    parts.remove("StatefulSet/a");
    crew.until_children("a", &parts).await.unwrap();
    let planned = crew.plan(&["-f", &file]).await.unwrap();
    assert!(planned.stdout.contains("`transit-token/token` are not there yet"), "{planned:?}");

    crew.apply(&[secret]).await.unwrap();
    parts.insert("StatefulSet/a".into());
    crew.until_children("a", &parts).await.unwrap();
    crew.until_still("a").await;
    for arguments in [["--owner", "openbaocluster/a"], ["-f", file.as_str()]] {
        let planned = crew.plan(&arguments).await.unwrap();
        assert_eq!(planned.code, 0, "{planned:?}");
        // The ConfigMap of the authority is published along with its Secret.
        assert_eq!(planned.stdout, format!("plan: 0 to create, 0 to change, 0 to delete, {} unchanged\n", parts.len() - 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_what_somebody_changed_by_hand() {
    let crew = crew("planned-drift").await;
    crew.settled("a", json!({})).await;
    let planned = crew.while_stopped(async {
        crew.patch("role/a", &json!({"rules": []})).await?;
        crew.plan(&["--owner", "openbaocluster/a"]).await
    });
    let planned = planned.await.unwrap();
    assert_eq!(planned.code, CHANGES, "{planned:?}");
    for part in ["Role", "/a (openbao, Drifted)", "plan: 0 to create, 1 to change, 0 to delete"] {
        assert!(planned.stdout.contains(part), "{part} in {}", planned.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn render_agrees_with_what_the_operator_applied() {
    let crew = crew("render").await;
    let mut owner = cluster("a", &spec());
    owner["metadata"]["namespace"] = crew.namespace.as_str().into();
    let scratch = Scratch::new("render").unwrap();
    let file = scratch.write("a.yaml", owner.to_string()).unwrap().display().to_string();
    let plugins = workspace_root().join("target/plugins").display().to_string();
    let text = Banhbaoring::find().unwrap().succeed(&["render", "-f", &file, "--plugins", &plugins, "-o", "json"], &[]).await.unwrap();
    let rendered: Value = serde_json::from_str(&text).unwrap();
    let rendered = rendered["items"].as_array().unwrap();

    crew.settled("a", spec()).await;
    let live = crew.children("a").await.unwrap();
    let mut names: BTreeSet<String> = rendered.iter().map(name_of).collect();
    // Published from a Secret that the host makes.
    names.insert("ConfigMap/a-ca".into());
    assert_eq!(names, live.keys().cloned().collect());
    for object in rendered {
        let name = name_of(object);
        let mut object = object.clone();
        // Says what the host will put in; the live one has it.
        if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove("banhbaoring.io/generated");
        }
        assert_holds(&live[&name], &object, &name);
    }
}

/// All that was rendered is there as rendered; what is there besides was added by the API server and by the host.
fn assert_holds(live: &Value, rendered: &Value, place: &str) {
    match rendered {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert_holds(live.get(key).unwrap_or(&Value::Null), value, &format!("{place}.{key}"));
            }
        }
        Value::Array(items) => {
            let there = live.as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(there.len(), items.len(), "{place}: {live}");
            for (index, item) in items.iter().enumerate() {
                assert_holds(&there[index], item, &format!("{place}[{index}]"));
            }
        }
        Value::String(text) if text.contains("$(hash:") => {
            assert!(live.as_str().is_some_and(|live| !live.is_empty() && !live.contains("$(")), "{place}: {live}");
        }
        other => assert_eq!(live, other, "{place}"),
    }
}
