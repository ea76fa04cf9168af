//! What a puppet says of a write: the function `review` of its module, which does what `spec.review` of the object says (of the one before, where it is
//! deleted).

use serde_json::{Value, json};

use crate::contract::Contract;
use crate::lower::Image;
use crate::puppet::REVIEWS;

const BIG: usize = 5 << 20;

/// The function, its data placed in the image.
pub(crate) fn function(contract: &Contract, image: &mut Image<'_>, verdicts: &[(String, Value)]) -> String {
    let (request, response, failure) = (contract.ty("review-request"), contract.ty("review-response"), contract.ty("failure"));
    let payload = image.result_payload(&response, &failure);
    let mut verdict = |value: &Value| image.ok(&response, &failure, value);
    let plain = verdict(&json!({"allowed": true}));
    let big = verdict(&json!({"allowed": false}));
    let patched = |path: &str| json!({"allowed": true, "patches": [{"path": path, "value": "\"yes\""}]});
    let outside = verdict(&patched("/spec/behaviour"));
    let change = verdict(&patched("/spec/reviewed"));
    let deny = verdict(
        &json!({"allowed": false, "message": "expected another review, found deny; ask for something else", "warnings": ["denied"]}),
    );
    let own: Vec<(String, usize)> = verdicts.iter().map(|(name, value)| (name.clone(), verdict(value))).collect();
    let refusal = image.reserve(payload + image.size(&response).max(image.size(&failure)), 8);
    let internal =
        json!({"class": "internal", "reason": "Broken", "message": "expected another review, found fail; ask for something else"});
    let internal_at = image.value(&failure, &internal);

    let message = big + payload + image.offset(&response, "message");
    let given = |at: usize| format!("(return (i32.const {at}))");
    let reviews: Vec<(&str, String)> = vec![
        ("loop", "(loop $for_ever (br $for_ever)) unreachable".to_owned()),
        ("trap", "unreachable".to_owned()),
        (
            "big",
            format!(
                "(i32.store (i32.const {message}) (call $allocate (i32.const {BIG})))
                 (memory.fill (i32.load (i32.const {message})) (i32.const 32) (i32.const {BIG}))
                 (i32.store (i32.const {}) (i32.const {BIG}))
                 (return (i32.const {big}))",
                message + 4
            ),
        ),
        ("outside", given(outside)),
        ("change", given(change)),
        ("deny", given(deny)),
        (
            "fail",
            format!(
                "(i32.store8 (i32.const {refusal}) (i32.const 1))
                 (memory.copy (i32.const {}) (i32.const {internal_at}) (i32.const {}))
                 (return (i32.const {refusal}))",
                refusal + payload,
                image.size(&failure)
            ),
        ),
    ];
    assert!(reviews.iter().map(|(name, _)| name).eq(REVIEWS), "REVIEWS is the list of these");
    let own = own.iter().map(|(name, at)| (name.as_str(), given(*at)));
    let mut dispatch = String::new();
    for (name, body) in reviews.into_iter().chain(own) {
        let needle = format!("\"review\":\"{name}\"");
        let at = image.text(&needle);
        dispatch.push_str(&format!(
            "(if (i32.ne (call $find (local.get $object) (local.get $length) (i32.const {at}) (i32.const {})) (i32.const -1))
               (then {body}))\n",
            needle.len()
        ));
    }
    // An option of text: whether it is there, and four bytes on where it lies.
    let read = |option: usize| {
        format!(
            "(local.set $object (i32.load offset={} (local.get $request)))
             (local.set $length (i32.load offset={} (local.get $request)))",
            option + 4,
            option + 8
        )
    };
    let object = image.offset(&request, "object");
    format!(
        r#"(func (export "{export}") (param $request i32) (result i32)
    (local $object i32) (local $length i32)
    (if (i32.load8_u offset={object} (local.get $request)) (then {object_of}) (else {old_object_of}))
    {dispatch}
    (i32.const {plain}))"#,
        export = contract.export("admission", "review"),
        object_of = read(object),
        old_object_of = read(image.offset(&request, "old-object")),
    )
}
