//! What a component tells of itself.

use crate::contract::{ComponentCondition, ConditionState, Event, EventType, Metric};

use super::*;

fn condition(name: &str, reason: &str) -> Response {
    let condition = ComponentCondition {
        condition_type: name.to_owned(),
        status: ConditionState::Yes,
        reason: reason.to_owned(),
        message: String::new(),
    };
    Response { conditions: vec![condition], ..response(vec![]) }
}

#[test]
fn a_condition_that_is_not_declared_is_refused() {
    allowed(condition("Sealed", "ByPlan"));
    refused(condition("Ready", "ByPlan"), Reason::ConditionNotDeclared, "Ready");
    refused(condition("Sealed", "not camel case"), Reason::ReportInvalid, "Sealed");
    let mut twice = condition("Sealed", "ByPlan");
    twice.conditions.push(twice.conditions[0].clone());
    refused(twice, Reason::ConditionNotDeclared, "twice");
}

#[test]
fn a_metric_keeps_to_its_declared_name_and_labels() {
    let metric = |name: &str, label: &str, value: f64| Response {
        metrics: vec![Metric { name: name.to_owned(), labels: vec![(label.to_owned(), "0".to_owned())], value }],
        ..response(vec![])
    };
    allowed(metric("store_keys", "shard", 1.0));
    refused(metric("up", "shard", 1.0), Reason::MetricNotDeclared, "up");
    refused(metric("store_keys", "user", 1.0), Reason::MetricNotDeclared, "store_keys");
    refused(metric("store_keys", "shard", f64::NAN), Reason::MetricNotDeclared, "store_keys");
}

#[test]
fn events_are_bounded() {
    let event = |key: &str, reason: &str, message: String| Response {
        events: vec![Event { key: key.to_owned(), event_type: EventType::Normal, reason: reason.to_owned(), message }],
        ..response(vec![])
    };
    allowed(event("unsealed", "Unsealed", "done".to_owned()));
    refused(event("", "Unsealed", String::new()), Reason::ReportInvalid, "key");
    refused(event("k", "un sealed", String::new()), Reason::ReportInvalid, "CamelCase");
    refused(event("k", "Unsealed", "x".repeat(1025)), Reason::ReportInvalid, "1024");
    let mut many = event("k", "Unsealed", String::new());
    many.events = vec![many.events[0].clone(); 33];
    refused(many, Reason::TooMuch, "33");
}

#[test]
fn status_and_outputs_are_bounded_objects_outside_of_the_hosts_part() {
    let status = |status: Json| Response { status, ..response(vec![]) };
    allowed(status(json!({"sealed": false})));
    for field in ["conditions", "observedGeneration", "components", "phase"] {
        refused(status(json!({field: 1})), Reason::StatusNotAllowed, field);
    }
    refused(status(json!(["x"])), Reason::StatusNotAllowed, "object");
    refused(status(json!({"x": "y".repeat(70_000)})), Reason::StatusNotAllowed, "bytes");
    refused(Response { outputs: json!("x"), ..response(vec![]) }, Reason::StatusNotAllowed, "outputs");
}
