//! Questions for the sake of a write.

use super::*;
use crate::contract::NeedMode;

fn need(id: &str, kind: &str, mode: NeedMode, spec: Json) -> Need {
    Need { id: id.to_owned(), kind: kind.to_owned(), mode, project: vec!["/data/a".to_owned()], spec }
}

fn config_map(name: &str) -> Json {
    json!({"reference": {"apiVersion": "v1", "kind": "ConfigMap", "name": name}})
}

fn asked(relation: &str, need: Need) -> Result<NeedScope, String> {
    let grants =
        json!({"resources": [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get"], "relation": relation}]});
    let plugin = plugin("judge", serde_json::from_value(grants).unwrap());
    let Observation { mut owner, mut kinds, .. } = observation();
    kinds.insert("v1", "ConfigMap", crate::kinds::KindInfo { plural: "configmaps".to_owned(), namespaced: true });
    owner.object = json!({"spec": {"greeting": {"configMap": "named"}}});
    let permitted = admit_review(&plugin, &owner, &kinds, &[need]).map_err(|failure| failure.reason)?;
    Ok(permitted[0].scope.clone())
}

#[test]
fn a_review_asks_within_the_grants_about_what_the_written_object_names() {
    let ask = |relation, name| asked(relation, need("a", "object", NeedMode::Fresh, config_map(name)));
    assert!(matches!(ask("any", "strange"), Ok(NeedScope::Object(..))));
    assert!(matches!(ask("referenced", "named"), Ok(NeedScope::Object(..))));
    assert_eq!(ask("referenced", "strange"), Err("ResourceNotGranted".to_owned()));
    // Nothing belongs to an object that is not stored yet.
    assert_eq!(ask("owned", "named"), Err("ResourceNotGranted".to_owned()));
}

#[test]
fn a_write_waits_for_no_change_and_for_nothing_that_takes_long() {
    for mode in [NeedMode::Watch, NeedMode::Poll(30)] {
        assert_eq!(asked("any", need("a", "object", mode, config_map("named"))), Err("NeedInvalid".to_owned()));
    }
    let job = need("a", "job", NeedMode::Fresh, json!({"key": "migrate"}));
    let scope = asked("any", job);
    assert!(matches!(&scope, Ok(NeedScope::Unsupported(_)) | Err(_)), "{scope:?}");
}

#[test]
fn contents_of_secrets_are_no_answer_to_a_review_either() {
    let secret = json!({"reference": {"apiVersion": "v1", "kind": "Secret", "name": "named"}});
    assert_eq!(asked("any", need("a", "object", NeedMode::Fresh, secret)), Err("SecretNotReadable".to_owned()));
}
