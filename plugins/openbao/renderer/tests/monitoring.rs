//! Where Prometheus is sent, and what it finds there: a real `bao` answers what the ServiceMonitor asks, and exposes what the dashboard shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod nodes;
mod support;

use banhbaoring_sdk::wit::{ConditionStatus, Response};
use banhbaoring_testing::bao::Bao;
use banhbaoring_testing::dashboard::{asked, exposed};
use banhbaoring_testing::http::Http;
use banhbaoring_testing::wait;
use nodes::{PATIENCE, admin, authority, node, until_voters};
use reqwest::Method;
use serde_json::{Value, json};
use support::{config, object, objects, owner, render, request, seals};

const OPEN: &str = "{replicas: 1, telemetry: {prometheusRetentionTime: 10m, unauthenticatedMetricsAccess: true, serviceMonitor: {enabled: true, labels: {release: prometheus, app.kubernetes.io/name: mine}, scrapeTimeout: 5s}}}";
const TOKEN: &str = "{replicas: 1, telemetry: {prometheusRetentionTime: 10m, serviceMonitor: {enabled: true, tokenSecretRef: {secretName: metrics, key: token}}}}";

fn monitored(spec: &str, is_served: bool) -> Response {
    let mut request = request(&owner(spec), Some(seals::generated_key("prod")));
    if is_served {
        request.platform.apis.push("monitoring.coreos.com/v1/ServiceMonitor".to_owned());
        request.platform.apis.sort();
    }
    render(&request).unwrap()
}

fn condition(response: &Response) -> Option<(ConditionStatus, &str)> {
    let found = response.conditions.iter().find(|condition| condition.condition_type == "MonitoringReady")?;
    Some((found.status, found.reason.as_str()))
}

fn endpoint(response: &Response) -> Value {
    object(response, "ServiceMonitor", "prod")["spec"]["endpoints"][0].clone()
}

#[test]
fn without_a_token_each_node_is_scraped_and_with_one_who_leads() {
    let open = monitored(OPEN, true);
    assert_eq!((endpoint(&open)["relabelings"][0]["regex"].clone(), endpoint(&open).get("authorization")), (json!("prod"), None));
    assert_eq!(endpoint(&open)["scrapeTimeout"], "5s");
    let labels = object(&open, "ServiceMonitor", "prod")["metadata"]["labels"].clone();
    assert_eq!(
        (&labels["release"], &labels["app.kubernetes.io/name"]),
        (&json!("prometheus"), &json!("openbao")),
        "ours are not taken away"
    );
    let closed = monitored(TOKEN, true);
    assert_eq!(endpoint(&closed)["relabelings"][0]["regex"], "prod-active");
    assert_eq!(endpoint(&closed)["authorization"], json!({"type": "Bearer", "credentials": {"name": "metrics", "key": "token"}}));
    assert!(!config(&closed).contains("unauthenticated"), "{}", config(&closed));
    for response in [&open, &closed] {
        let service = object(response, "Service", endpoint(response)["relabelings"][0]["regex"].as_str().unwrap());
        let ports = service["spec"]["ports"].as_array().unwrap().clone();
        assert!(ports.iter().any(|port| port["name"] == endpoint(response)["port"]), "{ports:?}");
        let selector = object(response, "ServiceMonitor", "prod")["spec"]["selector"]["matchLabels"].clone();
        for (key, value) in selector.as_object().unwrap() {
            assert_eq!(&service["metadata"]["labels"][key], value);
        }
        assert_eq!(condition(response), Some((ConditionStatus::Yes, "Applied")));
    }
}

#[test]
fn where_the_kind_is_not_served_a_condition_says_so_and_where_nobody_asks_nothing_does() {
    let response = monitored(OPEN, false);
    assert_eq!(condition(&response), Some((ConditionStatus::No, "ApiNotServed")));
    for (response, what) in [
        (&response, "not served"),
        (&monitored("telemetry: {serviceMonitor: {enabled: false}}", true), "switched off"),
        (&monitored("telemetry: {}", true), "not asked for"),
    ] {
        assert!(!objects(response).iter().any(|object| object["kind"] == "ServiceMonitor"), "{what}");
    }
    assert_eq!(condition(&monitored("telemetry: {serviceMonitor: {enabled: false}}", false)), None);
}

/// What Prometheus would get.
async fn scrape(response: &Response, bao: &Bao, authority: &str, token: Option<&str>) -> (u16, String) {
    let endpoint = endpoint(response);
    let path = format!("{}?format={}", endpoint["path"].as_str().unwrap(), endpoint["params"]["format"][0].as_str().unwrap());
    let bearer = token.map(|token| format!("{} {token}", endpoint["authorization"]["type"].as_str().unwrap()));
    let header = bearer.as_deref().map(|bearer| ("Authorization", bearer));
    let answer = Http::new(bao.address(), Some(authority)).unwrap().send(Method::GET, &path, header.as_slice(), None).await.unwrap();
    (answer.status.as_u16(), answer.body.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_exposes_every_metric_of_the_dashboard_to_whoever_the_monitor_sends() {
    let response = monitored(OPEN, true);
    let authority = authority();
    let node = node(&response, &authority, [2; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    // Logins are counted.
    admin(&bao).await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../charts/operator/dashboards/openbao.json");
    let dashboard = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let asked = asked(&dashboard, &[("prefix", "vault")]);
    assert!(asked.len() >= 15, "{asked:?}");
    wait::until(PATIENCE, "every metric of the dashboard", async || {
        let (status, page) = scrape(&response, &bao, authority.certificate(), None).await;
        assert_eq!(status, 200, "{page}");
        let exposed = exposed(&page);
        let absent: Vec<_> = asked.difference(&exposed).collect();
        if absent.is_empty() { Ok(()) } else { Err(format!("{absent:?} of the dashboard are not among {exposed:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_lets_a_token_with_the_documented_policy_scrape_and_nobody_without() {
    let response = monitored(TOKEN, true);
    let authority = authority();
    let node = node(&response, &authority, [2; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    let admin = admin(&bao).await;
    let admin = Some(admin.as_str());
    let policy = json!({"policy": "path \"sys/metrics\" { capabilities = [\"read\"] }"});
    bao.succeed(Method::PUT, "/v1/sys/policies/acl/metrics", admin, Some(&policy)).await.unwrap();
    let asked = json!({"policies": ["metrics"], "no_default_policy": true, "no_parent": true, "period": "768h"});
    let token = bao.succeed(Method::POST, "/v1/auth/token/create", admin, Some(&asked)).await.unwrap()["auth"]["client_token"].clone();
    let (status, page) = scrape(&response, &bao, authority.certificate(), token.as_str()).await;
    assert_eq!(status, 200);
    assert!(exposed(&page).contains("vault_core_unsealed"), "{page}");
    assert_eq!(scrape(&response, &bao, authority.certificate(), None).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_has_nothing_of_its_own_to_tell_a_token_so_who_leads_is_asked() {
    let response = monitored(&TOKEN.replace("replicas: 1", "replicas: 3"), true);
    let authority = authority();
    let nodes: Vec<_> = (0..2).map(|ordinal| node(&response, &authority, [2; 32], ordinal)).collect();
    let leader = nodes[0].start(&nodes[0].address(), &[]).unwrap();
    leader.until_answering(PATIENCE).await.unwrap();
    let token = admin(&leader).await;
    let standby = nodes[1].start(&nodes[0].address(), &[]).unwrap();
    until_voters(&leader, &token, &["prod-0", "prod-1"]).await;
    let active = |page: &str| page.lines().find(|line| line.starts_with("vault_core_active")).map(str::to_owned);
    let of_leader = active(&scrape(&response, &leader, authority.certificate(), Some(&token)).await.1).unwrap();
    // It answers with the address of the leader, to which a client follows; the header `Authorization` does not go to another address.
    wait::until(PATIENCE, "an answer of the standby", async || {
        let path = "/v1/sys/metrics?format=prometheus";
        let answer = standby.send(Method::GET, path, Some(&token), None).await.map_err(|error| error.to_string())?;
        let found = answer.body.as_str().and_then(active);
        if found.as_ref() == Some(&of_leader) { Ok(()) } else { Err(format!("{} {found:?}", answer.status)) }
    })
    .await
    .unwrap();
    assert_eq!(scrape(&response, &standby, authority.certificate(), Some(&token)).await.0, 403);
    assert!(of_leader.ends_with(" 1"), "{of_leader}");
}
