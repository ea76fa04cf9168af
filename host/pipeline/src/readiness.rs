//! How an object fares, from the object alone: the built-in kinds by their own rules, everything else by its `Ready` condition. An object
//! without any is ready as soon as it exists. Pure.

use serde_json::Value;

use crate::contract::ReadinessState;
use crate::observation::Readiness;

/// Kinds whose readiness needs the whole object. All other kinds of the core API groups are ready once they exist, so that metadata is
/// enough for them.
pub fn needs_whole_object(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match group {
        "" => matches!(kind, "Pod" | "Service" | "PersistentVolumeClaim" | "ReplicationController" | "Namespace"),
        "rbac.authorization.k8s.io"
        | "networking.k8s.io"
        | "storage.k8s.io"
        | "scheduling.k8s.io"
        | "coordination.k8s.io"
        | "admissionregistration.k8s.io"
        | "policy"
        | "autoscaling"
        | "discovery.k8s.io"
        | "events.k8s.io" => false,
        _ => true,
    }
}

/// How `object` fares.
pub fn readiness(object: &Value) -> Readiness {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return progressing("Terminating", "it is being deleted");
    }
    let api_version = text(object, "/apiVersion").unwrap_or_default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, text(object, "/kind").unwrap_or_default()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replicas(object, "readyReplicas"),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => by_condition(object, "Established"),
        ("apiregistration.k8s.io", "APIService") => by_condition(object, "Available"),
        _ => by_condition(object, "Ready"),
    }
}

fn ready() -> Readiness {
    Readiness { state: ReadinessState::Ready, reason: "Ready".to_owned(), message: String::new() }
}

fn progressing(reason: &str, message: impl Into<String>) -> Readiness {
    Readiness { state: ReadinessState::Progressing, reason: reason.to_owned(), message: message.into() }
}

fn failed(reason: &str, message: impl Into<String>) -> Readiness {
    Readiness { state: ReadinessState::Failed, reason: reason.to_owned(), message: message.into() }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

fn count(object: &Value, field: &str) -> i64 {
    number(object, &format!("/status/{field}")).unwrap_or(0)
}

/// Status that speaks of an older generation says nothing about this one.
fn is_stale(object: &Value) -> bool {
    match (number(object, "/status/observedGeneration"), number(object, "/metadata/generation")) {
        (Some(observed), Some(generation)) => observed < generation,
        (None, Some(_)) => true,
        _ => false,
    }
}

fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(type_))
}

fn condition_holds(object: &Value, type_: &str) -> bool {
    condition(object, type_).and_then(|c| text(c, "/status")) == Some("True")
}

fn waiting_for_controller() -> Readiness {
    progressing("NotObserved", "its controller has not seen this generation yet")
}

fn replicas(object: &Value, field: &str) -> Readiness {
    if is_stale(object) {
        return waiting_for_controller();
    }
    let desired = number(object, "/spec/replicas").unwrap_or(1);
    let there = count(object, field);
    if there >= desired { ready() } else { progressing("ReplicasNotReady", format!("{there} of {desired} replicas are ready")) }
}

fn deployment(object: &Value) -> Readiness {
    if is_stale(object) {
        return waiting_for_controller();
    }
    if let Some(progress) = condition(object, "Progressing")
        && text(progress, "/reason") == Some("ProgressDeadlineExceeded")
    {
        return failed("ProgressDeadlineExceeded", text(progress, "/message").unwrap_or_default());
    }
    let desired = number(object, "/spec/replicas").unwrap_or(1);
    let updated = count(object, "updatedReplicas");
    if updated < desired {
        return progressing("RollingOut", format!("{updated} of {desired} replicas are updated"));
    }
    if count(object, "replicas") > updated {
        return progressing("RollingOut", "old replicas are still there");
    }
    let available = count(object, "availableReplicas");
    if available < desired {
        return progressing("ReplicasNotReady", format!("{available} of {desired} replicas are available"));
    }
    ready()
}

fn stateful_set(object: &Value) -> Readiness {
    if is_stale(object) {
        return waiting_for_controller();
    }
    let desired = number(object, "/spec/replicas").unwrap_or(1);
    let there = count(object, "readyReplicas");
    if there < desired {
        return progressing("ReplicasNotReady", format!("{there} of {desired} replicas are ready"));
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    let on_delete = text(object, "/spec/updateStrategy/type") == Some("OnDelete");
    let to_update = (desired - partition).max(0);
    if !on_delete
        && text(object, "/status/updateRevision") != text(object, "/status/currentRevision")
        && count(object, "updatedReplicas") < to_update
    {
        return progressing("RollingOut", format!("{} of {to_update} replicas are updated", count(object, "updatedReplicas")));
    }
    ready()
}

fn daemon_set(object: &Value) -> Readiness {
    if is_stale(object) {
        return waiting_for_controller();
    }
    let desired = count(object, "desiredNumberScheduled");
    for (field, reason) in [("updatedNumberScheduled", "RollingOut"), ("numberAvailable", "ReplicasNotReady")] {
        let there = count(object, field);
        if there < desired {
            return progressing(reason, format!("{there} of {desired} pods"));
        }
    }
    ready()
}

fn job(object: &Value) -> Readiness {
    if condition_holds(object, "Complete") {
        return ready();
    }
    match condition(object, "Failed") {
        Some(c) if text(c, "/status") == Some("True") => {
            failed(text(c, "/reason").unwrap_or("Failed"), text(c, "/message").unwrap_or_default())
        }
        _ => progressing("Running", "the job has not completed"),
    }
}

fn pod(object: &Value) -> Readiness {
    match text(object, "/status/phase") {
        Some("Succeeded") => ready(),
        Some("Failed") => failed(text(object, "/status/reason").unwrap_or("Failed"), text(object, "/status/message").unwrap_or_default()),
        _ if condition_holds(object, "Ready") => ready(),
        _ => progressing("NotReady", "the pod is not ready"),
    }
}

fn claim(object: &Value) -> Readiness {
    match text(object, "/status/phase") {
        Some("Bound") => ready(),
        Some("Lost") => failed("Lost", "the volume behind the claim is gone"),
        _ => progressing("Pending", "the claim is not bound"),
    }
}

fn service(object: &Value) -> Readiness {
    let waits = text(object, "/spec/type") == Some("LoadBalancer")
        && object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if waits { progressing("NoAddress", "the load balancer has no address yet") } else { ready() }
}

fn by_condition(object: &Value, type_: &str) -> Readiness {
    let Some(found) = condition(object, type_) else {
        return ready();
    };
    let observed = number(found, "/observedGeneration").or_else(|| number(object, "/status/observedGeneration"));
    if let (Some(observed), Some(generation)) = (observed, number(object, "/metadata/generation"))
        && observed < generation
    {
        return waiting_for_controller();
    }
    let reason = text(found, "/reason").unwrap_or("NotReady");
    let message = text(found, "/message").unwrap_or_default();
    match text(found, "/status") {
        Some("True") => ready(),
        _ => progressing(reason, message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(object: &Value) -> ReadinessState {
        readiness(object).state
    }

    #[test]
    fn a_stateful_set_is_ready_when_all_replicas_are_and_its_status_is_current() {
        let mut object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 2},
            "spec": {"replicas": 3}, "status": {"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": 3,
            "currentRevision": "a", "updateRevision": "a"}});
        assert_eq!(state(&object), ReadinessState::Ready);
        object["status"]["observedGeneration"] = json!(1);
        assert_eq!(readiness(&object).reason, "NotObserved");
        object["status"]["observedGeneration"] = json!(2);
        object["status"]["readyReplicas"] = json!(2);
        assert_eq!(readiness(&object).message, "2 of 3 replicas are ready");
        object["status"]["readyReplicas"] = json!(3);
        object["status"]["updateRevision"] = json!("b");
        object["status"]["updatedReplicas"] = json!(1);
        assert_eq!(readiness(&object).reason, "RollingOut");
    }

    #[test]
    fn a_rollout_held_by_a_partition_is_ready_once_its_part_is_done() {
        let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1},
            "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
            "status": {"observedGeneration": 1, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}});
        assert_eq!(state(&object), ReadinessState::Ready);
    }

    #[test]
    fn a_deployment_past_its_deadline_has_failed() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 1},
            "status": {"observedGeneration": 1, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}]}});
        assert_eq!(state(&object), ReadinessState::Failed);
    }

    #[test]
    fn a_kind_without_conditions_is_ready_once_it_exists_and_one_with_a_ready_condition_when_that_holds() {
        assert_eq!(state(&json!({"apiVersion": "v1", "kind": "ConfigMap"})), ReadinessState::Ready);
        let mut object = json!({"apiVersion": "x.io/v1", "kind": "X", "metadata": {"generation": 3},
            "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3}]}});
        assert_eq!(state(&object), ReadinessState::Ready);
        object["status"]["conditions"][0]["observedGeneration"] = json!(2);
        assert_eq!(state(&object), ReadinessState::Progressing);
        object["status"]["conditions"][0] = json!({"type": "Ready", "status": "False", "reason": "Broken", "message": "why"});
        assert_eq!(readiness(&object).reason, "Broken");
    }

    #[test]
    fn an_object_on_its_way_out_is_not_ready() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(readiness(&object).reason, "Terminating");
    }

    #[test]
    fn readiness_never_panics_on_odd_shapes() {
        for object in [
            json!(null),
            json!([]),
            json!({"apiVersion": 3, "kind": []}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "status": "x"}),
        ] {
            let _ = readiness(&object);
        }
    }
}
