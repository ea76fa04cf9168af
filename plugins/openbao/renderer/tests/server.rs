//! A real `bao` starts from what is rendered, is initialised, and comes back unsealed by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod nodes;
mod support;

use std::fs;

use banhbaoring_sdk::wit::Response;
use banhbaoring_testing::bao::{Bao, Pod};
use banhbaoring_testing::wait;
use nodes::{PATIENCE, admin, authority, node, until_voters};
use reqwest::Method;
use serde_json::json;
use support::{container, owner, render, rendered, request, seals};

/// What bao says of keys that it does not know; it starts all the same.
fn assert_everything_was_understood(bao: &Bao) {
    let log = bao.server().log();
    assert!(!log.contains("unknown or unsupported field"), "{log}");
}

fn probe(response: &Response, name: &str) -> String {
    container(response)[name]["httpGet"]["path"].as_str().unwrap().to_owned()
}

async fn status(bao: &Bao, path: &str) -> u16 {
    bao.send(Method::GET, path, None, None).await.unwrap().status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_the_static_seal_is_initialised_and_comes_back_unsealed_by_itself() {
    let response = rendered("{replicas: 1, initialization: {mode: Manual}}");
    let node = node(&response, &authority(), [7; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    assert_everything_was_understood(&bao);

    for name in ["readinessProbe", "livenessProbe", "startupProbe"] {
        assert_eq!(status(&bao, &probe(&response, name)).await, 204, "{name} of a node that waits to be initialised");
    }
    let initialised = bao.initialise().await.unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    for name in ["readinessProbe", "livenessProbe", "startupProbe"] {
        assert_eq!(status(&bao, &probe(&response, name)).await, 200, "{name} of the leader");
    }
    let token = Some(initialised.root_token.as_str());
    bao.succeed(Method::POST, "/v1/sys/mounts/kept", token, Some(&json!({"type": "kv"}))).await.unwrap();
    bao.succeed(Method::POST, "/v1/kept/one", token, Some(&json!({"a": "b"}))).await.unwrap();

    bao.server().start_again().unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    let seal = bao.seal_status().await.unwrap();
    assert_eq!((&seal["type"], &seal["sealed"], &seal["storage_type"]), (&json!("static"), &json!(false), &json!("raft")));
    let kept = bao.succeed(Method::GET, "/v1/kept/one", token, None).await.unwrap();
    assert_eq!(kept["data"]["a"], "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_node_initialises_the_store_and_no_root_token_is_left() {
    let spec = "
        replicas: 1
        initialization:
          requests:
          - {name: fails, path: sys/no-such-thing, allowFailure: true, data: {a: 1}}
          - name: kv
            path: sys/mounts/kept
            data: {type: kv, description: 'a ${x} $${y} \"quoted\" \\', config: {audit_non_hmac_request_keys: [a, b]}}
        ";
    let response = rendered(spec);
    let node = node(&response, &authority(), [5; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    let token = admin(&bao).await;
    let token = Some(token.as_str());
    wait::until(PATIENCE, "the mount of the last request and no token of root", async || {
        let found = bao.succeed(Method::GET, "/v1/sys/mounts/kept", token, None).await.map_err(|error| error.to_string())?;
        if found["data"]["description"] != "a ${x} $${y} \"quoted\" \\" {
            return Err(found.to_string());
        }
        let list = Method::from_bytes(b"LIST").unwrap();
        let accessors = bao.succeed(list, "/v1/auth/token/accessors", token, None).await.map_err(|error| error.to_string())?;
        for accessor in accessors["data"]["keys"].as_array().unwrap() {
            let body = json!({"accessor": accessor});
            let looked_up = bao.succeed(Method::POST, "/v1/auth/token/lookup-accessor", token, Some(&body)).await;
            let policies = looked_up.map_err(|error| error.to_string())?["data"]["policies"].clone();
            if policies.as_array().is_some_and(|policies| policies.contains(&json!("root"))) {
                return Err(format!("a token of root is left: {accessor}"));
            }
        }
        Ok(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", bao.server().log_tail()));
    bao.succeed(Method::POST, "/v1/kept/one", token, Some(&json!({"a": "b"}))).await.unwrap();

    // It starts with the same file again, as it does until the operator has seen that the store is initialised.
    bao.server().start_again().unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    let kept = bao.succeed(Method::GET, "/v1/kept/one", Some(&admin(&bao).await), None).await.unwrap();
    assert_eq!(kept["data"]["a"], "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_node_initialises_and_the_others_join() {
    let response = rendered("replicas: 3");
    let authority = authority();
    let nodes: Vec<Pod> = (0..3).map(|ordinal| node(&response, &authority, [6; 32], ordinal)).collect();
    let leader = nodes[0].address();
    // The others are there first, as it may be with pods that start in parallel.
    let others: Vec<Bao> = nodes[1..].iter().map(|node| node.start(&leader, &[]).unwrap()).collect();
    for bao in &others {
        bao.until_answering(PATIENCE).await.unwrap();
        assert_eq!(bao.send(Method::GET, "/v1/sys/health", None, None).await.unwrap().status.as_u16(), 501, "it waits");
    }
    let first = nodes[0].start(&leader, &[]).unwrap();
    let token = admin(&first).await;
    until_voters(&first, &token, &["prod-0", "prod-1", "prod-2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_node_that_lost_its_volume_joins_and_begins_no_store_of_its_own() {
    let mut asked = request(&owner("replicas: 1"), Some(seals::generated_key("prod")));
    asked.previous = Some(json!({"initialized": true}).to_string());
    let response = render(&asked).unwrap();
    let node = node(&response, &authority(), [5; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    bao.server().until_logged(PATIENCE, "security barrier not initialized").await.unwrap();
    assert_eq!(bao.send(Method::GET, "/v1/sys/health", None, None).await.unwrap().status.as_u16(), 501);
    assert!(!bao.server().log().contains("acquired HA initialization lock"), "{}", bao.server().log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_node_is_alive_and_not_ready() {
    let response = rendered("{replicas: 1, initialization: {mode: Manual}}");
    let node = node(&response, &authority(), [7; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    let initialised = bao.initialise().await.unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();
    bao.succeed(Method::PUT, "/v1/sys/seal", Some(&initialised.root_token), None).await.unwrap();
    wait::until(PATIENCE, "the node to be sealed", async || {
        let status = bao.seal_status().await.map_err(|error| error.to_string())?;
        if status["sealed"] == true { Ok(()) } else { Err(status.to_string()) }
    })
    .await
    .unwrap();
    assert_eq!(status(&bao, &probe(&response, "readinessProbe")).await, 503);
    assert_eq!(status(&bao, &probe(&response, "livenessProbe")).await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_join_over_tls_under_ids_of_their_own() {
    let response = rendered("{replicas: 3, initialization: {mode: Manual}}");
    let authority = authority();
    let nodes: Vec<Pod> = (0..3).map(|ordinal| node(&response, &authority, [9; 32], ordinal)).collect();
    let leader = nodes[0].address();
    let first = nodes[0].start(&leader, &[]).unwrap();
    first.until_answering(PATIENCE).await.unwrap();
    let initialised = first.initialise().await.unwrap();
    first.until_unsealed(PATIENCE).await.unwrap();

    let others: Vec<Bao> = nodes[1..].iter().map(|node| node.start(&leader, &[]).unwrap()).collect();
    let token = initialised.root_token.as_str();
    until_voters(&first, token, &["prod-0", "prod-1", "prod-2"]).await;
    for bao in &others {
        wait::until(PATIENCE, "a standby that unsealed itself to be ready", async || {
            let found = bao.send(Method::GET, &probe(&response, "readinessProbe"), None, None).await.map_err(|error| error.to_string())?;
            if found.status.as_u16() == 200 { Ok(()) } else { Err(found.status.to_string()) }
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_spec_can_say_is_understood() {
    let response = rendered(
        "
        replicas: 1
        initialization: {mode: Manual}
        ui: false
        logLevel: debug
        logFormat: standard
        maxLeaseTtl: 768h
        defaultLeaseTtl: 24h
        auditStorage: {size: 1Gi}
        tls: {mode: Secret, secretName: mine, dnsNames: [localhost]}
        listener: {maxRequestDuration: 60s, maxRequestSize: 1048576, tlsMinVersion: tls12, tlsCipherSuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]}
        raft: {performanceMultiplier: 1, trailingLogs: 10000, snapshotThreshold: 8192, snapshotInterval: 2m, maxEntrySize: 1048576, autopilotReconcileInterval: 10s}
        telemetry: {prometheusRetentionTime: 24h, metricsPrefix: openbao, usageGaugePeriod: 10m, unauthenticatedMetricsAccess: true}
        audit:
        - {type: file, path: stdout, options: {file_path: stdout}}
        - {type: file, path: disk, description: 'say \"${HOSTNAME}\"', options: {file_path: /bao/audit/audit.log, mode: '0600'}}
        ",
    );
    let authority = authority();
    let node = node(&response, &authority, [7; 32], 0);
    let bao = node.start(&node.address(), &[]).unwrap();
    bao.until_answering(PATIENCE).await.unwrap();
    assert_everything_was_understood(&bao);
    let initialised = bao.initialise().await.unwrap();
    bao.until_unsealed(PATIENCE).await.unwrap();

    let devices = bao.succeed(Method::GET, "/v1/sys/audit", Some(&initialised.root_token), None).await.unwrap();
    assert_eq!(devices["data"]["disk/"]["description"], "say \"${HOSTNAME}\"", "{devices}");
    assert!(devices["data"]["stdout/"].is_object(), "{devices}");
    let log = node.path("/bao/audit/audit.log");
    assert!(fs::metadata(&log).unwrap().len() > 0);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&log).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "a mode is read as octal only when it is quoted");

    let metrics = bao.send(Method::GET, "/v1/sys/metrics", None, None).await.unwrap();
    assert_eq!(metrics.status.as_u16(), 200, "metrics are open as asked");
    let edge = banhbaoring_testing::http::Http::new(node.edge_address(), Some(authority.certificate())).unwrap();
    let answer = edge.send(Method::GET, "/v1/sys/health", &[], None).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200, "the edge serves as well");
}
