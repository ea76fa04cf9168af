//! The form of requests: what holds whatever is granted.

use crate::contract::NeedMode;

use super::*;

fn grants_for_all() -> Grants {
    serde_json::from_value(json!({
        "http": [{"service": "owned", "methods": ["GET", "POST"], "paths": ["/"]}, {"host": "kms.example.com", "methods": ["GET", "POST"], "paths": ["/"]},
            {"host": "localhost", "methods": ["GET", "POST"], "paths": ["/"]}],
        "resources": [{"apiGroups": [""], "resources": ["services", "secrets"], "verbs": ["get", "create", "patch", "delete"]}],
        "pods": {"secretRefs": ["access"]},
    }))
    .unwrap()
}

fn endpoint(more: Json) -> Json {
    let mut endpoint = json!({"destination": {"service": {"name": "prod", "port": 8200}}, "path": "/v1/x"});
    endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    endpoint
}

fn asked(mode: NeedMode, endpoint: Json) -> Option<Refusal> {
    let need = Need { id: "n".to_owned(), kind: "http".to_owned(), mode, project: vec![], spec: json!({ "endpoint": endpoint }) };
    let service = object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod"}}));
    refusal_under(grants_for_all(), Response { needs: vec![need], objects: vec![service], ..response(vec![]) })
}

fn sent(spec: Json) -> Option<Refusal> {
    let action = Action { id: "a".to_owned(), kind: "http".to_owned(), spec };
    let service = object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod"}}));
    refusal_under(grants_for_all(), Response { actions: vec![action], objects: vec![service], ..response(vec![]) })
}

#[test]
fn a_request_that_is_what_it_says_is_permitted() {
    let from = json!({"secret": {"secret": "access", "key": "k"}});
    let more = json!({"headers": {"X-Mark": "1"}, "query": {"a": "b"}, "expose": ["/a", ""],
        "inject": [{"pointer": "/headers/X-Token", "from": from}, {"pointer": "/body/password", "from": from}],
        "tls": {"serverName": "store.internal"}});
    assert_eq!(asked(NeedMode::Poll(5), endpoint(more)), None);
    let kms = json!({"host": {"host": "kms.example.com", "port": 443}});
    let credential = json!({"secret": {"from": {"secret": "access", "key": "k"}, "header": "Authorization"}});
    assert_eq!(asked(NeedMode::Fresh, endpoint(json!({"destination": kms, "credential": credential}))), None);
}

#[test]
fn headers_that_carry_the_message_and_texts_that_would_break_it_are_refused() {
    for more in [
        json!({"headers": {"Host": "elsewhere"}}),
        json!({"headers": {"transfer-encoding": "chunked"}}),
        json!({"headers": {"X-A\r\nHost": "elsewhere"}}),
        json!({"headers": {"X-A": "1\r\nHost: elsewhere"}}),
        json!({"headers": {"": "1"}}),
        json!({"query": {"a": "b\n"}}),
        json!({"expose": ["no pointer"]}),
        json!({"tls": {"serverName": "a b"}}),
        json!({"destination": {"service": {"name": "prod", "port": 8200, "hostname": "../x"}}}),
    ] {
        assert_eq!(
            asked(NeedMode::Fresh, endpoint(more.clone())).map(|refusal| refusal.reason).as_deref(),
            Some("HttpNotGranted"),
            "{more}"
        );
    }
    let put_into = |pointer: &str| json!({"inject": [{"pointer": pointer, "from": {"secret": {"secret": "access", "key": "k"}}}]});
    for pointer in ["/headers/Host", "/headers/", "/headers", "/body", "", "/path", "body/x"] {
        assert!(asked(NeedMode::Fresh, endpoint(put_into(pointer))).is_some(), "{pointer}");
    }
    let login = json!({"path": "/login", "method": "POST", "tokenPointer": "/t", "header": "Content-Length"});
    assert!(asked(NeedMode::Fresh, endpoint(json!({"credential": {"login": login}}))).is_some());
}

#[test]
fn credentials_leave_the_cluster_over_https_alone_and_a_host_has_a_whole_name() {
    let from = json!({"secret": {"secret": "access", "key": "k"}});
    let kms = json!({"host": {"host": "kms.example.com", "port": 80}});
    let with = |scheme: &str| json!({"destination": kms, "scheme": scheme, "inject": [{"pointer": "/headers/X-Token", "from": from}]});
    assert_eq!(asked(NeedMode::Fresh, endpoint(with("https"))), None);
    assert!(asked(NeedMode::Fresh, endpoint(with("http"))).unwrap().message.contains("https"));
    let local = json!({"destination": {"host": {"host": "localhost", "port": 80}}});
    assert!(asked(NeedMode::Fresh, endpoint(local)).unwrap().message.contains("whole DNS name"), "although it is granted");
}

#[test]
fn a_server_is_polled_and_not_watched() {
    assert!(asked(NeedMode::Watch, endpoint(json!({}))).unwrap().message.contains("poll"));
}

#[test]
fn what_is_captured_is_not_shown_as_well() {
    let spec = |expose: Json| {
        json!({"endpoint": endpoint(json!({ "expose": expose })), "method": "POST",
            "capture": [{"pointer": "/auth/token", "secret": "vessel", "key": "token"}]})
    };
    assert_eq!(sent(spec(json!(["/auth/lease", "/authority"]))), None);
    for expose in [json!(["/auth/token"]), json!(["/auth"]), json!([""]), json!(["/auth/token/0"])] {
        assert!(sent(spec(expose.clone())).unwrap().message.contains("captured"), "{expose}");
    }
}
