//! Golden cases: the form that the SDK's files have, through the sandbox.

use banhbaoring_sandbox::golden;
use serde_json::{Value, json};

use crate::{config_map, puppet, sandboxes};

fn case(config: &Value) -> Value {
    json!({
        "owner": "{}", "component": "puppet", "config": config.to_string(), "plugin_config": "{}", "previous": null,
        "platform": {"kubernetes_version": "v1.36.0", "apis": ["apps/v1/Deployment"], "cluster_domain": "cluster.local",
            "host": {"namespace": "operator", "service_account": "host", "pod_labels": [{"key": "a", "value": "b"}],
                "webhook_service": null, "api_server_endpoints": []}},
        "children": [{"reference": {"api_version": "v1", "kind": "Service", "namespace": "a", "name": "b"},
            "readiness": "Progressing", "reason": "", "message": "", "fields": "{}"}],
        "inputs": [], "slots": [], "answers": [{"id": "a", "outcome": "Pending"}, {"id": "b", "outcome": {"Ok": "{}"}}],
        "results": [], "deleting": false, "time": null,
    })
}

#[test]
fn a_golden_request_gets_its_answer_in_the_same_form() {
    for sandbox in sandboxes() {
        let module = puppet(sandbox);
        let answer = golden::reconcile(&module, case(&json!({"objects": [config_map("a")]}))).unwrap();
        let object = &answer["ok"]["objects"][0];
        assert_eq!(object["mode"], "Apply");
        assert_eq!(object["manifest"], config_map("a").to_string());
        assert_eq!(answer["ok"]["state"], "Ready");
        let answer = golden::reconcile(&module, case(&json!({"behaviour": "refuse"}))).unwrap();
        assert_eq!(answer["err"]["class"], "InvalidConfig");
        assert_eq!(golden::describe(&module).unwrap()["components"][0]["name"], "puppet");
    }
}

#[test]
fn a_request_of_another_form_is_refused_before_the_call() {
    let mut request = case(&json!({}));
    request["deleting"] = json!("no");
    let error = golden::reconcile(&puppet(sandboxes()[0]), request).unwrap_err();
    assert!(matches!(error, golden::GoldenError::Request(_)), "{error}");
}
