//! HTTP for plugins: where a request may go, what is put in, and what comes back.

use std::net::IpAddr;

use banhbaoring_pipeline::contract::{AnswerOutcome, Need, NeedMode};
use banhbaoring_testing::pki::Authority;
use serde_json::{Value, json};

use crate::support::asks::{Asks, admitted};
use crate::support::store::{Store, endpoint};
use banhbaoring_testing::http_server::{HttpServer, Told, own_address};

async fn ask(store: &Store, endpoint: Value) -> AnswerOutcome {
    let need = Need {
        id: "n".to_owned(),
        kind: "http".to_owned(),
        mode: NeedMode::Fresh,
        project: Vec::new(),
        spec: json!({ "endpoint": endpoint }),
    };
    let permitted = admitted(&store.fixture, &store.plugin, Asks::need(need), &store.inventory).await;
    store.fixture.cluster.answer(&store.plugin, &permitted.components[0].needs[0], &store.inventory).await
}

fn told(outcome: &AnswerOutcome) -> &Value {
    match outcome {
        AnswerOutcome::Ok(value) => value,
        other => panic!("{other:?}"),
    }
}

fn refused(outcome: &AnswerOutcome) -> (&str, &str) {
    match outcome {
        AnswerOutcome::Error(error) => (&error.class, &error.message),
        other => panic!("{other:?}"),
    }
}

async fn fine() -> HttpServer {
    HttpServer::start(|_| Told::Json(200, json!({"sealed": false, "version": "2.4.0", "nested": {"a": [1]}}))).await.unwrap()
}

#[tokio::test]
async fn an_owned_pod_is_asked_and_only_what_was_exposed_comes_back() {
    let server = fine().await;
    let store = Store::new(server.address.port()).await;
    let more = json!({"query": {"standbyok": "true"}, "headers": {"X-Mark": "yes"}, "expose": ["/sealed", "/nested/a/0", "/none"]});
    let outcome = ask(&store, endpoint("/v1/health", more)).await;
    assert_eq!(told(&outcome), &json!({"status": 200, "exposed": {"/sealed": false, "/nested/a/0": 1}}));
    let asked = server.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("GET", "/v1/health?standbyok=true"));
    assert_eq!(asked[0].headers["x-mark"], "yes");
    assert_eq!(asked[0].headers["host"], format!("store.{}.svc:{}", store.fixture.namespace, server.address.port()));
    let one = json!({"destination": {"service": {"name": "store", "port": 80, "hostname": "store-0"}}});
    assert_eq!(told(&ask(&store, endpoint("/v1/x", one)).await)["status"], 200);
    let none = json!({"destination": {"service": {"name": "store", "port": 80, "hostname": "store-7"}}});
    assert_eq!(refused(&ask(&store, endpoint("/v1/x", none)).await).0, "unavailable");
    assert_eq!(told(&ask(&store, endpoint("/v1/x", json!({}))).await), &json!({"status": 200, "exposed": {}}));
}

#[tokio::test]
async fn a_pod_that_is_not_ready_is_asked_only_where_its_service_publishes_it() {
    let server = fine().await;
    let store = Store::new(server.address.port()).await;
    store.place("store-0", own_address().unwrap(), false).await;
    assert_eq!(told(&ask(&store, endpoint("/v1/x", json!({}))).await)["status"], 200);
    let ready = json!({"destination": {"service": {"name": "ready", "port": 80}}});
    assert_eq!(refused(&ask(&store, endpoint("/v1/x", ready.clone())).await).0, "unavailable");
    store.place("store-0", own_address().unwrap(), true).await;
    assert_eq!(told(&ask(&store, endpoint("/v1/x", ready)).await)["status"], 200);
}

#[tokio::test]
async fn nothing_but_the_owners_own_pods_is_reached() {
    let server = fine().await;
    let mut store = Store::new(server.address.port()).await;
    for (service, word) in [("bare", "selects no pods"), ("away", "ExternalName")] {
        let to = json!({"destination": {"service": {"name": service, "port": 80}}});
        let outcome = ask(&store, endpoint("/v1/x", to)).await;
        assert!(matches!(refused(&outcome), ("not-permitted", message) if message.contains(word)), "{outcome:?}");
    }
    for inside in ["127.0.0.1", "169.254.169.254", "::1", "198.51.100.1"] {
        store.place("store-0", inside.parse::<IpAddr>().unwrap(), true).await;
        let outcome = ask(&store, endpoint("/v1/x", json!({}))).await;
        assert_eq!(refused(&outcome).0, "not-permitted", "{inside}: {outcome:?}");
    }
    // A pod that carries the labels and runs where the server is, but was made by somebody else.
    let pod = |name: &str, host: bool| {
        let spec = json!({"hostNetwork": host, "containers": [{"name": "c", "image": "registry.invalid/c:1",
            "ports": [{"name": "api", "containerPort": server.address.port()}]}]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "store"}}, "spec": spec}).to_string()
    };
    store.fixture.kubectl.apply(&pod("foreign", false)).await.unwrap();
    store.place("foreign", own_address().unwrap(), true).await;
    assert_eq!(refused(&ask(&store, endpoint("/v1/x", json!({}))).await).0, "not-permitted");
    // The owner's own, but with its node's network.
    store.fixture.kubectl.apply(&pod("own", true)).await.unwrap();
    store.place("own", own_address().unwrap(), true).await;
    let uid = store.fixture.get("pod", "own").await["metadata"]["uid"].as_str().unwrap().to_owned();
    let mut entry = store.inventory.children[0].clone();
    (entry.uid, entry.name, entry.kind, entry.api_version) = (Some(uid), "own".into(), "Pod".into(), "v1".into());
    store.inventory.children.push(entry);
    store.fixture.kubectl.run(&["delete", "pod", "foreign", "--now"]).await.unwrap();
    let outcome = ask(&store, endpoint("/v1/x", json!({}))).await;
    assert_eq!(refused(&outcome).0, "not-permitted", "{outcome:?}");
    // A Service that was put in the place of the recorded one.
    store.place("store-0", own_address().unwrap(), true).await;
    store.fixture.kubectl.run(&["delete", "pod", "own", "--now"]).await.unwrap();
    assert_eq!(told(&ask(&store, endpoint("/v1/x", json!({}))).await)["status"], 200);
    for entry in store.inventory.children.iter_mut().filter(|entry| entry.name == "store" && entry.kind == "Service") {
        entry.uid = Some("of the one before".to_owned());
    }
    let outcome = ask(&store, endpoint("/v1/x", json!({}))).await;
    assert!(matches!(refused(&outcome), ("not-permitted", message) if message.contains("is not one that")), "{outcome:?}");
    assert_eq!(server.asked().len(), 1, "nothing of all this arrived");
}

#[tokio::test]
async fn a_granted_host_outside_is_reached_and_one_that_is_this_machine_is_not() {
    let server = fine().await;
    let store = Store::new(1).await;
    let to = |host: String| json!({"destination": {"host": {"host": host, "port": server.address.port()}}, "scheme": "http", "path": "/x"});
    assert_eq!(told(&ask(&store, to(own_address().unwrap().to_string())).await)["status"], 200);
    let outcome = ask(&store, to("127.0.0.1".to_owned())).await;
    assert!(matches!(refused(&outcome), ("not-permitted", message) if message.contains("API server's address")), "{outcome:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_a_way() {
    let other = fine().await;
    let location = format!("http://{}/", other.address);
    let server = HttpServer::start(move |_| {
        Told::Raw(format!("HTTP/1.1 307 Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
    })
    .await
    .unwrap();
    let store = Store::new(server.address.port()).await;
    assert_eq!(told(&ask(&store, endpoint("/v1/x", json!({"expose": ["/sealed"]}))).await), &json!({"status": 307, "exposed": {}}));
    assert_eq!(other.asked(), []);
}

#[tokio::test]
async fn what_is_put_in_arrives_and_never_comes_back() {
    let server = HttpServer::start(|asked| Told::Json(200, json!({"echo": asked.headers.get("x-token"), "ok": true}))).await.unwrap();
    let store = Store::new(server.address.port()).await;
    store.access("hunter22").await;
    let secret = json!({"secret": {"secret": "access", "key": "password"}});
    let with = |more: Value| {
        let credential = json!({"secret": {"from": {"secret": "access", "key": "password"}, "header": "X-Token"}});
        let mut all = json!({"credential": credential, "inject": [{"pointer": "/headers/X-Other", "from": secret, "prefix": "Bearer "}]});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        endpoint("/v1/x", all)
    };
    assert_eq!(told(&ask(&store, with(json!({"expose": ["/ok"]}))).await)["exposed"], json!({"/ok": true}));
    let asked = server.asked();
    assert_eq!((asked[0].headers["x-token"].as_str(), asked[0].headers["x-other"].as_str()), ("hunter22", "Bearer hunter22"));
    let outcome = ask(&store, with(json!({"expose": ["/echo"]}))).await;
    let (class, message) = refused(&outcome);
    assert!(class == "invalid" && !message.contains("hunter22"), "{message}");
}

#[tokio::test]
async fn a_login_is_made_once_kept_for_its_lease_and_made_anew_when_it_no_longer_lets_in() {
    let server = HttpServer::start(|asked| match (asked.target.as_str(), asked.headers.get("x-token").map(String::as_str)) {
        ("/v1/login", _) if asked.body == json!({"password": "hunter22"}) => {
            Told::Json(200, json!({"auth": {"client_token": "s.token", "lease_duration": 600}}))
        }
        ("/v1/login", _) => Told::Json(400, json!({"errors": ["no"]})),
        ("/v1/closed", _) => Told::Json(403, json!({})),
        (_, Some("s.token")) => Told::Json(200, json!({"ok": true})),
        _ => Told::Json(401, json!({})),
    })
    .await
    .unwrap();
    let store = Store::new(server.address.port()).await;
    store.access("hunter22").await;
    let login = json!({"path": "/v1/login", "method": "POST", "body": {}, "tokenPointer": "/auth/client_token", "leasePointer": "/auth/lease_duration",
        "header": "X-Token", "inject": [{"pointer": "/body/password", "from": {"secret": {"secret": "access", "key": "password"}}}]});
    let with = |path: &str| endpoint(path, json!({"credential": {"login": login}, "expose": ["/ok"]}));
    let logins = || server.asked().iter().filter(|asked| asked.target == "/v1/login").count();
    for _ in 0..3 {
        assert_eq!(told(&ask(&store, with("/v1/x")).await)["exposed"], json!({"/ok": true}));
    }
    assert_eq!(logins(), 1);
    assert_eq!(told(&ask(&store, with("/v1/closed")).await)["status"], 403);
    assert_eq!(told(&ask(&store, with("/v1/x")).await)["status"], 200);
    assert_eq!(logins(), 2);
    store.access("wrong").await;
    assert_eq!(told(&ask(&store, with("/v1/closed")).await)["status"], 403);
    let outcome = ask(&store, with("/v1/x")).await;
    let (class, message) = refused(&outcome);
    assert!(class == "not-permitted" && message.contains("400") && !message.contains("wrong"), "{message}");
}

#[tokio::test]
async fn a_token_is_for_one_audience_and_never_one_that_the_api_server_takes() {
    let server = fine().await;
    let store = Store::new(server.address.port()).await;
    let with = |audience: &str| {
        endpoint(
            "/v1/x",
            json!({"inject": [{"pointer": "/headers/Authorization", "prefix": "Bearer ", "from": {"token": {"audience": audience}}}]}),
        )
    };
    assert_eq!(told(&ask(&store, with("store")).await)["status"], 200);
    let header = server.asked()[0].headers["authorization"].clone();
    assert!(header.starts_with("Bearer ey") && header.split('.').count() == 3, "a JWT");
    let outcome = ask(&store, with("https://kubernetes.default.svc")).await;
    assert!(matches!(refused(&outcome), ("not-permitted", message) if message.contains("API server itself")), "{outcome:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_is_judged_by_its_certificate_under_the_name_that_is_asked_for() {
    let (right, wrong) = (Authority::new("right").unwrap(), Authority::new("wrong").unwrap());
    let identity = right.server("store", &["store.internal"]).unwrap();
    let server = HttpServer::start_tls(&identity.certificate, &identity.key, |_| Told::Json(200, json!({}))).await.unwrap();
    let store = Store::new(server.address.port()).await;
    for (name, authority) in [("right", &right), ("wrong", &wrong)] {
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"ca.crt": authority.certificate()}});
        store.fixture.kubectl.apply(&manifest.to_string()).await.unwrap();
    }
    let with = |root: &str, name: &str| {
        let tls = json!({"ca": {"configMap": {"configMap": root, "key": "ca.crt"}}, "serverName": name});
        endpoint("/v1/x", json!({"scheme": "https", "tls": tls}))
    };
    assert_eq!(told(&ask(&store, with("right", "store.internal")).await)["status"], 200);
    for (root, name) in [("wrong", "store.internal"), ("right", "other.internal")] {
        let outcome = ask(&store, with(root, name)).await;
        assert_eq!(refused(&outcome).0, "unavailable", "{outcome:?}");
    }
    let outcome = ask(&store, endpoint("/v1/x", json!({"scheme": "https", "tls": {"serverName": "store.internal"}}))).await;
    assert_eq!(refused(&outcome).0, "unavailable", "a private authority is none of the public ones: {outcome:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_is_bounded_and_one_that_is_not_json_shows_nothing() {
    let server = HttpServer::start(|asked| match asked.target.as_str() {
        "/v1/big" => Told::Raw(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{{\"a\": \"{}\"}}", "x".repeat(2 << 20))),
        "/v1/deep" => Told::Raw(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "[".repeat(10_000))),
        "/v1/twice" => Told::Raw("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"a\": 1, \"a\": 2}".to_owned()),
        "/v1/wide" => Told::Json(200, json!({"a": "y".repeat(500_000)})),
        _ => Told::Hangup,
    })
    .await
    .unwrap();
    let store = Store::new(server.address.port()).await;
    let with = |path: &str| endpoint(path, json!({"expose": ["/a"]}));
    assert_eq!(refused(&ask(&store, with("/v1/big")).await).0, "invalid");
    assert_eq!(refused(&ask(&store, with("/v1/wide")).await).0, "invalid");
    for path in ["/v1/deep", "/v1/twice"] {
        assert_eq!(told(&ask(&store, with(path)).await), &json!({"status": 200, "exposed": {}}), "{path}");
    }
    assert_eq!(refused(&ask(&store, with("/v1/gone")).await).0, "unavailable");
}
