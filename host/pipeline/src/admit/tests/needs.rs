//! Questions and side effects.

use crate::contract::NeedMode;

use super::*;

fn need(kind: &str, spec: Json) -> Response {
    let need = Need { id: "n".to_owned(), kind: kind.to_owned(), mode: NeedMode::Fresh, project: vec![], spec };
    Response { needs: vec![need], ..response(vec![]) }
}

fn action(kind: &str, spec: Json) -> Response {
    Response { actions: vec![Action { id: "a".to_owned(), kind: kind.to_owned(), spec }], ..response(vec![]) }
}

fn grants_with(value: Json) -> Grants {
    serde_json::from_value(value).unwrap()
}

fn scope(grants: Grants, answer: Response) -> NeedScope {
    let permitted = permitted(vec![rendered("server", &plugin("store", grants), answer)]);
    assert_eq!(permitted.refused, vec![]);
    permitted.components[0].needs[0].scope.clone()
}

fn object_need(name: &str) -> Response {
    need("object", json!({"reference": {"apiVersion": "v1", "kind": "Service", "name": name}}))
}

#[test]
fn a_need_is_admitted_by_whose_object_it_asks_for() {
    let under = |relation: &str, name: &str| {
        let grants =
            grants_with(json!({"resources": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get"], "relation": relation}]}));
        refusal_under(grants, object_need(name)).is_none()
    };
    assert!(under("referenced", "edge"), "the spec names it");
    assert!(!under("owned", "edge") && !under("referenced", "strange") && under("any", "strange"));
    refused(
        need("object", json!({"reference": {"apiVersion": "v1", "kind": "Service", "name": "edge", "namespace": "team-b"}})),
        Reason::ResourceNotGranted,
        "services",
    );
}

#[test]
fn a_plugin_names_nothing_to_itself() {
    let grants =
        grants_with(json!({"resources": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get"], "relation": "referenced"}]}));
    let asker = comes_after(plugin("store", grants.clone()), "server", "other");
    let run = |producer: &Arc<ActivePlugin>| {
        let names = Response { outputs: json!({"service": "strange"}), ..response(vec![]) };
        permitted(vec![rendered("other", producer, names), rendered("server", &asker, object_need("strange"))]).refused
    };
    assert_eq!(run(&plugin("another", Grants::default())), vec![], "an input");
    assert_eq!(run(&asker)[0].reason, "ResourceNotGranted", "its own word");
}

#[test]
fn only_what_a_component_comes_after_is_its_input() {
    let grants =
        grants_with(json!({"resources": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get"], "relation": "referenced"}]}));
    let names = Response { outputs: json!({"service": "strange"}), ..response(vec![]) };
    let beside = vec![
        rendered("other", &plugin("another", Grants::default()), names),
        rendered("server", &plugin("store", grants), object_need("strange")),
    ];
    assert_eq!(permitted(beside).refused[0].reason, "ResourceNotGranted");
}

#[test]
fn a_need_that_is_kept_current_needs_a_watch() {
    let grants = |verbs: Json| {
        grants_with(json!({"resources": [{"apiGroups": [""], "resources": ["services"], "verbs": verbs, "relation": "any"}]}))
    };
    let mut answer = object_need("edge");
    answer.needs[0].mode = NeedMode::Watch;
    assert!(refusal_under(grants(json!(["get"])), answer.clone()).unwrap().message.contains("watch"));
    assert_eq!(refusal_under(grants(json!(["get", "list", "watch"])), answer), None);
}

#[test]
fn contents_of_secrets_are_nobodys_answer() {
    let grants =
        grants_with(json!({"resources": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"], "relation": "any"}]}));
    let reads = |project: Json, spec: Json, kind: &str| {
        let mut answer = need(kind, spec);
        answer.needs[0].project = serde_json::from_value(project).unwrap();
        refusal_under(grants.clone(), answer).map(|refusal| refusal.reason)
    };
    let one = json!({"reference": {"apiVersion": "v1", "kind": "Secret", "name": "prod-key"}});
    for project in [
        json!([]),
        json!(["/data"]),
        json!(["/metadata"]),
        json!(["/metadata/annotations"]),
        json!(["/metadata/name", "/stringData"]),
        json!([""]),
    ] {
        assert_eq!(reads(project.clone(), one.clone(), "object").as_deref(), Some("SecretNotReadable"), "{project}");
    }
    assert_eq!(reads(json!(["/metadata/labels", "/type"]), one, "object"), None);
    let oracle = json!({"apiVersion": "v1", "kind": "Secret", "filter": [{"pointer": "/data/password", "equals": "aHVudGVyMg=="}]});
    assert_eq!(reads(json!(["/metadata/name"]), oracle, "objects").as_deref(), Some("SecretNotReadable"));
}

#[test]
fn a_question_for_many_says_whose_and_where() {
    let grants = grants_with(json!({"resources": [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list"], "relation": "any", "namespaces": ["owner", "edge"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]}));
    let services = |namespace: Json| need("objects", json!({"apiVersion": "v1", "kind": "Service", "namespace": namespace}));
    let all = NeedScope::Objects { namespaces: vec!["edge".to_owned(), NAMESPACE.to_owned()], whose: Whose::Any };
    assert_eq!(scope(grants.clone(), services(json!("*"))), all);
    assert_eq!(refusal_under(grants.clone(), services(json!("kube-system"))).unwrap().reason, "NamespaceNotGranted");
    let own = NeedScope::Objects { namespaces: vec![NAMESPACE.to_owned()], whose: Whose::Known(BTreeSet::new()) };
    assert_eq!(scope(grants, need("objects", json!({"apiVersion": "v1", "kind": "ConfigMap"}))), own);
}

#[test]
fn an_object_is_ones_own_by_the_record_and_not_by_asking_for_its_name() {
    let grants = |relation: &str| {
        grants_with(json!({"resources": [
            {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "create", "patch", "delete"], "relation": relation}]}))
    };
    let asked = |relation: &str| {
        let mut answer = object_need("strange");
        answer.objects.push(object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "strange"}})));
        match scope(grants(relation), answer) {
            NeedScope::Object(_, whose) => whose,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(asked("owned"), Whose::Known(BTreeSet::new()));
    assert_eq!(asked("referenced"), Whose::Known(BTreeSet::new()), "nothing names it");
    assert_eq!(asked("any"), Whose::Any);
    let NeedScope::Objects { whose: Whose::Known(names), .. } =
        scope(grants("referenced"), need("objects", json!({"apiVersion": "v1", "kind": "Service"})))
    else {
        panic!("those that the spec names");
    };
    assert!(names.contains("edge") && !names.contains("strange"), "{names:?}");
}

#[test]
fn what_the_host_does_not_know_is_answered_not_refused() {
    assert!(matches!(scope(Grants::default(), need("telepathy", json!({}))), NeedScope::Unsupported(_)));
    let unserved = need("object", json!({"reference": {"apiVersion": "gateway.example/v1", "kind": "Gateway", "name": "x"}}));
    assert!(matches!(scope(Grants::default(), unserved), NeedScope::Unsupported(_)));
    let permitted = permitted(vec![rendered("server", &plugin("store", Grants::default()), action("telepathy", json!({})))]);
    assert!(matches!(&permitted.components[0].actions[0].scope, ActionScope::Unsupported(_)));
}

#[test]
fn too_many_or_malformed_needs_are_refused() {
    let mut many = object_need("edge");
    many.needs = (0..65).map(|i| Need { id: format!("n{i}"), ..many.needs[0].clone() }).collect();
    refused(many, Reason::TooMuch, "65");
    refused(need("object", json!({"reference": 7})), Reason::NeedInvalid, "schema");
    let mut twice = need("telepathy", json!({}));
    twice.needs.push(twice.needs[0].clone());
    refused(twice, Reason::NeedInvalid, "id");
    refused(
        need("object", json!({"reference": {"apiVersion": "v1", "kind": "Service", "name": "../secrets/x"}})),
        Reason::NeedInvalid,
        "no object",
    );
}

#[test]
fn http_reaches_granted_services_methods_and_paths_only() {
    let grants = |extra: Json| {
        let mut value = json!({"http": [{"service": "owned", "methods": ["GET"], "paths": ["/v1/sys/"]}, {"host": "kms.example.com", "methods": ["GET"], "paths": ["/"]}],
            "resources": [{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "create", "patch", "delete"]}]});
        value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        grants_with(value)
    };
    let ask = |endpoint: Json| {
        let mut answer = need("http", json!({ "endpoint": endpoint }));
        answer.objects.push(object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod"}})));
        refusal_under(grants(json!({})), answer).map(|refusal| refusal.reason)
    };
    let own = |path: &str| json!({"destination": {"service": {"name": "prod", "port": 8200}}, "path": path});
    assert_eq!(ask(own("/v1/sys/health")), None);
    for endpoint in [
        own("/v1/auth"),
        own("/v1/sys/../auth"),
        own("/v1/sys/%2e%2e/auth"),
        json!({"destination": {"service": {"name": "foreign", "port": 1}}, "path": "/v1/sys/x"}),
        json!({"destination": {"service": {"name": "prod", "namespace": "team-b", "port": 1}}, "path": "/v1/sys/x"}),
        json!({"destination": {"host": {"host": "169.254.169.254", "port": 80}}, "path": "/"}),
        json!({"destination": {"host": {"host": "kms.example.com.evil.test", "port": 443}}, "path": "/"}),
    ] {
        assert_eq!(ask(endpoint.clone()).as_deref(), Some("HttpNotGranted"), "{endpoint}");
    }
    let with_credential = json!({"destination": {"host": {"host": "kms.example.com", "port": 443}}, "path": "/",
        "credential": {"secret": {"from": {"secret": "foreign", "key": "k"}, "header": "Authorization"}}});
    assert_eq!(ask(with_credential).as_deref(), Some("SecretNotGranted"));
    let with_token = json!({"destination": {"host": {"host": "kms.example.com", "port": 443}}, "path": "/",
        "inject": [{"pointer": "/headers/Authorization", "from": {"token": {"audience": "kubernetes"}}}]});
    assert_eq!(ask(with_token).as_deref(), Some("AudienceNotGranted"));
}

#[test]
fn registries_and_git_hosts_are_granted_by_name() {
    refused(need("image", json!({"reference": "quay.io/a/b:1"})), Reason::RegistryNotGranted, "quay.io");
    refused(need("git", json!({"url": "https://git.example.com/a", "ref": "main"})), Reason::GitNotGranted, "git.example.com");
    let grants = grants_with(json!({"images": ["quay.io/a"], "git": ["git.example.com"]}));
    assert_eq!(refusal_under(grants.clone(), need("image", json!({"reference": "quay.io/a/b:1"}))), None);
    assert_eq!(refusal_under(grants.clone(), need("git", json!({"url": "https://git.example.com/a", "ref": "main"}))), None);
    assert!(refusal_under(grants, need("git", json!({"url": "https://git.example.com@evil.test/a", "ref": "main"}))).is_some());
}

#[test]
fn a_trusted_root_is_read_under_the_grants_of_its_secret_or_config_map() {
    let rooted_in = |root: Json, grants: Json| {
        let mut granted = json!({"images": ["quay.io/a"]});
        granted.as_object_mut().unwrap().extend(grants.as_object().unwrap().clone());
        let keyless = json!({"issuer": "https://issuer.example", "subject": "ci@acme.example", "trustedRoot": root});
        let image = need("image", json!({"reference": "quay.io/a/b:1", "verify": {"keyless": keyless}}));
        refusal_under(grants_with(granted), image).map(|refusal| refusal.reason)
    };
    let maps =
        |relation: &str| json!({"resources": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "relation": relation}]});
    let map = |name: &str| json!({"configMap": {"configMap": name, "key": "trusted_root.json"}});
    assert_eq!(rooted_in(map("edge"), json!({})).as_deref(), Some("ResourceNotGranted"));
    assert_eq!(rooted_in(map("edge"), maps("owned")).as_deref(), Some("ResourceNotGranted"));
    assert_eq!(rooted_in(map("edge"), maps("referenced")), None, "the spec names it");
    assert_eq!(rooted_in(map("strange"), maps("referenced")).as_deref(), Some("ResourceNotGranted"));
    assert_eq!(rooted_in(map("strange"), maps("any")), None);
    assert_eq!(rooted_in(map("../edge"), maps("any")).as_deref(), Some("NeedInvalid"));
    let secret = json!({"secret": {"secret": "sigstore", "key": "trusted_root.json"}});
    assert_eq!(rooted_in(secret.clone(), maps("any")).as_deref(), Some("SecretNotGranted"));
    assert_eq!(rooted_in(secret, json!({"pods": {"secretRefs": ["sigstore"]}})), None);
}

#[test]
fn actions_keep_to_the_grants_of_what_they_touch() {
    let target = |kind: &str, api_version: &str| json!({"apiVersion": api_version, "kind": kind, "name": "edge"});
    refused(action("delete", json!({"target": target("Service", "v1"), "uid": "u"})), Reason::ResourceNotGranted, "services");
    refused(action("delete", json!({"target": target("Service", "v1")})), Reason::ActionInvalid, "schema");
    for (kind, api_version) in [("Secret", "v1"), ("ServiceAccount", "v1"), ("ClusterRole", "rbac.authorization.k8s.io/v1")] {
        refused(action("patch", json!({"target": target(kind, api_version), "fields": {"data": {}}})), Reason::KindNotAllowed, kind);
    }
    let grants = grants_with(
        json!({"resources": [{"apiGroups": ["", "apps"], "resources": ["services", "deployments"], "verbs": ["get", "patch"], "relation": "referenced"}]}),
    );
    let patch =
        |fields: Json| refusal_under(grants.clone(), action("patch", json!({"target": target("Deployment", "apps/v1"), "fields": fields})));
    assert_eq!(patch(json!({"spec": {"replicas": 0}})), None);
    assert_eq!(patch(json!({"spec": {"template": {"spec": {"hostNetwork": true}}}})).unwrap().reason, "ActionInvalid");
    assert_eq!(patch(json!({"metadata": {"finalizers": []}, "status": {}})).unwrap().reason, "ActionInvalid");
}

/// Grants under which a Job with [`pod`] may be run.
fn jobs() -> Grants {
    let mut jobs = grants_with(json!({"resources": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}]}));
    jobs.pods = super::grants().pods;
    jobs.pods.as_mut().unwrap().service_accounts = vec!["prod".to_owned()];
    jobs
}

#[test]
fn a_run_keeps_to_the_grants_of_its_pod_and_to_one_container_that_runs_once() {
    let run = |key: &str, deadline: u32, pod: Json| {
        refusal_under(jobs(), action("run", json!({"key": key, "podTemplate": {"spec": pod}, "deadlineSeconds": deadline})))
            .map(|refusal| (refusal.reason, refusal.message))
    };
    assert_eq!(run("migrate-1", 60, pod()), None);
    assert_eq!(run("migrate-1", 60, pod_with("/restartPolicy", json!("Never"))), None);
    assert_eq!(run("migrate-1", 60, pod_with("/hostPID", json!(true))).unwrap().0, "HostAccessNotGranted");
    for (key, deadline, pod, found) in [
        ("Migrate 1", 60, pod(), "key"),
        ("", 60, pod(), "key"),
        ("a", 0, pod(), "deadline"),
        ("a", 86_401, pod(), "deadline"),
        ("a", 60, pod_with("/containers/1", pod()["containers"][0].clone()), "one container"),
        ("a", 60, pod_with("/containers", json!([])), "one container"),
        ("a", 60, pod_with("/restartPolicy", json!("OnFailure")), "restartPolicy"),
    ] {
        let refusal = run(key, deadline, pod).unwrap();
        assert!(refusal.0 == "ActionInvalid" && refusal.1.contains(found), "{refusal:?}");
    }
    let ungranted = action("run", json!({"key": "a", "podTemplate": {"spec": pod()}, "deadlineSeconds": 60}));
    assert_eq!(refusal_under(Grants { resources: vec![], ..jobs() }, ungranted).unwrap().reason, "ResourceNotGranted");
}

#[test]
fn how_a_run_fares_is_asked_of_its_own_job_by_whoever_may_read_jobs() {
    let NeedScope::Job(job, key) = scope(jobs(), need("job", json!({"key": "migrate-1"}))) else { panic!() };
    assert_eq!((job, key.as_str()), (crate::runs::job(&observation().owner.reference, "migrate-1"), "migrate-1"));
    refused(need("job", json!({"key": "migrate-1"})), Reason::ResourceNotGranted, "jobs");
    assert_eq!(refusal_under(jobs(), need("job", json!({"key": "../x"}))).unwrap().reason, "NeedInvalid");
}

#[test]
fn outputs_are_asked_of_owners_that_the_grants_let_one_read() {
    let ask =
        || need("outputs", json!({"owner": {"apiVersion": "shop.example.com/v1", "kind": "Store", "name": "edge"}, "component": "db"}));
    let stores = |relation: &str| {
        grants_with(
            json!({"resources": [{"apiGroups": ["shop.example.com"], "resources": ["stores"], "verbs": ["get"], "relation": relation}]}),
        )
    };
    let NeedScope::Outputs(owner, whose, component) = scope(stores("referenced"), ask()) else { panic!() };
    assert_eq!((owner.name.as_str(), whose, component.as_str()), ("edge", Whose::Any, "db"));
    assert_eq!(refusal_under(stores("owned"), ask()).unwrap().reason, "ResourceNotGranted");
}

#[test]
fn what_the_owners_stateful_set_makes_counts_as_the_owners_and_what_only_sounds_like_it_does_not() {
    let under = |kind: &str, name: &str| {
        let mut answer = need("object", json!({"reference": {"apiVersion": "v1", "kind": kind, "name": name}}));
        (answer.objects, answer.secrets) = (store().objects, store().secrets);
        let mut grants = super::grants();
        let more = json!([{"apiGroups": [""], "resources": ["pods", "persistentvolumeclaims"], "verbs": ["get"]}]);
        grants.resources.extend(grants_with(json!({ "resources": more })).resources);
        let permitted = permitted(vec![rendered("server", &plugin("store", grants), answer)]);
        permitted.components.first().map(|component| component.needs[0].scope.clone())
    };
    for (kind, name) in [("Pod", "prod-0"), ("Pod", "prod-12"), ("PersistentVolumeClaim", "data-prod-0")] {
        let scope = under(kind, name);
        assert!(matches!(&scope, Some(NeedScope::Object(_, Whose::OfStatefulSet(of))) if of.name == "prod"), "{kind} {name}: {scope:?}");
    }
    for (kind, name) in [("Pod", "prod"), ("Pod", "prod-"), ("Pod", "prod-x"), ("Pod", "other-0"), ("PersistentVolumeClaim", "prod-0")] {
        assert_eq!(under(kind, name), None, "{kind} {name}");
    }
}
