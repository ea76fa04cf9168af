//! Where nothing differs, nothing is written.

use banhbaoring_tests::audit;
use banhbaoring_tests::team::{cluster, parts_of};
use serde_json::{Value, json};

use crate::support::{Crew, changed, crew};

const RESYNCS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_in_20_resyncs() {
    let crew = crew("still").await;
    // One with every kind of part, one that a cloud unseals, one with fields that the API server writes otherwise than we do.
    let normalised = json!({
        "pod": {"resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 1}}},
        "service": {"annotations": {"example.com/empty": ""}},
        "networkPolicy": {"ingressFrom": [{"namespaceSelector": {}}]},
        "telemetry": {"prometheusRetentionTime": "24h"},
    });
    let aws = json!({"unseal": {"type": "awskms", "keyId": "alias/a", "region": "eu-central-1"}});
    crew.apply(&[cluster("plain", &json!({})), cluster("normalised", &normalised), cluster("aws", &aws)]).await.unwrap();
    let owners = ["plain", "normalised", "aws"];
    let mut before = Vec::new();
    for name in owners {
        let mut parts = parts_of(name);
        if name == "aws" {
            parts.remove("Secret/aws-unseal-key");
        }
        crew.until_children(name, &parts).await.unwrap();
        crew.until_condition(name, "Reconciled", "True").await.unwrap();
    }
    let mut told = Vec::new();
    for name in owners {
        before.push(crew.until_all_is_told(name).await);
        told.push((crew.told(name).await, crew.idle(name)));
    }
    let asked_before = asked(&crew).len();
    crew.resync(&owners, RESYNCS).await;
    for ((name, before), (told, counted)) in owners.into_iter().zip(before).zip(told) {
        let times = crew.idle(name) - counted;
        assert!(times >= RESYNCS, "{name} was looked at {times} times");
        assert_eq!(crew.told(name).await, told, "{name}");
        assert_eq!(changed(&before, &crew.still(name).await), [] as [&str; 0], "{name}");
    }
    let writes = writes(&crew, asked_before);
    assert_eq!(writes, [] as [String; 0], "a write that changes nothing is a write all the same");
}

fn asked(crew: &Crew) -> Vec<Value> {
    audit::requests(&crew.platform.world.cluster).unwrap()
}

/// Writes of plugins' accounts in the crew's namespace, and of anybody to what is kept of its owners, since that many requests.
fn writes(crew: &Crew, since: usize) -> Vec<String> {
    let ours = |request: &Value| {
        audit::is_write(request) && request["objectRef"]["namespace"] == crew.namespace.as_str() && request["impersonatedUser"].is_object()
    };
    asked(crew).into_iter().skip(since).filter(ours).map(|request| request.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_does_show_the_writes_of_a_change() {
    let crew = crew("moving").await;
    crew.settled("a", json!({})).await;
    let asked_before = asked(&crew).len();
    crew.patch("openbaocluster/a", &json!({"spec": {"networkPolicy": {"enabled": false}}})).await.unwrap();
    let mut parts = parts_of("a");
    parts.remove("NetworkPolicy/a-network-policy");
    crew.until_children("a", &parts).await.unwrap();
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
    let writes = writes(&crew, asked_before);
    let deleted = |entry: &String| entry.contains(r#""verb":"delete""#) && entry.contains("networkpolicies");
    assert!(writes.iter().any(deleted), "{writes:?}");
}
