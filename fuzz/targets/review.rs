//! Questions about writes: whatever is sent is read or refused, and a verdict changes nothing but what the plugin may touch.
#![no_main]

use banhbaoring_pipeline::contract::{AdmissionDescriptor, Json, Operation, ReviewPatch, ReviewResponse};
use banhbaoring_pipeline::json::remove_pointer;
use banhbaoring_pipeline::review::{Question, verdict};
use libfuzzer_sys::fuzz_target;

const MAY_TOUCH: &str = "/spec/size";

fuzz_target!(|body: &[u8]| {
    let Ok(question) = Question::read(body) else { return };
    assert!(!question.uid.is_empty());
    let (Some(object), Some(old)) = (question.request.object, question.request.old_object) else { return };
    // What is written serves as the object, what was there as the patches.
    let patches = old
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, value)| ReviewPatch { path: path.clone(), value: (!value.is_null()).then(|| value.clone()) });
    let response = ReviewResponse { allowed: true, patches: patches.collect(), ..ReviewResponse::default() };
    let admission = AdmissionDescriptor {
        kind: question.request.kind,
        operations: vec![Operation::Update],
        mutating: true,
        match_conditions: Vec::new(),
        may_touch: vec![MAY_TOUCH.to_owned()],
        validations: Vec::new(),
    };
    let Ok(verdict) = verdict(&admission, Some(&object), &response) else { return };
    let operations = verdict.patch.as_ref().and_then(Json::as_array).cloned().unwrap_or_default();
    for operation in &operations {
        let path = operation["path"].as_str().expect("a path");
        // An ancestor is added only where there was none, with nothing in it but the way to what may be touched.
        let is_within = path == MAY_TOUCH || path.starts_with("/spec/size/");
        let is_way = operation["op"] == "add" && path == "/spec" && {
            let mut made = operation["value"].clone();
            remove_pointer(&mut made, "/size");
            made == serde_json::json!({}) && object.get("spec").is_none()
        };
        assert!(is_within || is_way, "{operation}");
    }
});
