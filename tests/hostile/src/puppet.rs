//! The puppet: a whole plugin that does what its owner's spec says.
//!
//! `spec.objects` comes back as the desired objects, each as it stands in the spec (so a test asks for an object in a foreign namespace, a
//! pod with a host path, a foreign CRD by writing it there); `spec.behaviour` names one of [`BEHAVIOURS`] or of [`Puppet::answers`].

use serde_json::{Value, json};

use crate::contract::Contract;
use crate::library::LIBRARY;
use crate::lower::Image;

/// What `spec.behaviour` may say: `loop`, `bomb` (memory), `trap`, `recurse`, `big` (10 MiB), `many` (10,000 objects), `deep` (JSON 10,000
/// deep), `duplicate` (keys), `not-json`, `not-utf8`, `wild` (a pointer out of bounds), `not-a-number` (a metric), `needs` (65 of them),
/// `flaky` (tries to answer differently each time), `refuse` (its own failure).
pub const BEHAVIOURS: &[&str] = &[
    "loop",
    "bomb",
    "trap",
    "recurse",
    "big",
    "many",
    "deep",
    "duplicate",
    "not-json",
    "not-utf8",
    "wild",
    "not-a-number",
    "needs",
    "flaky",
    "refuse",
];

/// What `spec.review` may say of the write of the puppet itself, where it has [`Puppet::admissions`]: `loop`, `trap`, `big` (a message of 5 MiB), `outside` (a
/// change of `/spec/behaviour`, whatever it may touch), `change` (`/spec/reviewed` becomes `yes`), `deny`, `fail` (a failure of the class `internal`).
/// Everything else, and what says nothing, is allowed.
pub const REVIEWS: &[&str] = &["loop", "trap", "big", "outside", "change", "deny", "fail"];

/// Where static data starts.
const BASE: usize = 1_024;
const BIG: usize = 10 << 20;
const MANY: usize = 10_000;
const DEEP: usize = 10_000;

/// A plugin whose owners say how it behaves.
#[derive(Debug, Clone)]
pub struct Puppet {
    /// Name of the plugin and of its component.
    pub name: String,
    /// Its version.
    pub version: String,
    /// API group of its kind.
    pub group: String,
    /// Its kind, served as `v1alpha1`.
    pub kind: String,
    /// Whether it brings the kind's CRD.
    pub brings_kind: bool,
    /// What it asks to be granted, in the form of `Plugin.spec.grants`.
    pub permissions: Value,
    /// Whether it tries to describe itself differently each time.
    pub fickle: bool,
    /// Further behaviours: the name, and a response in the form of the WIT (`{"objects": [{"manifest": {…}}], "needs": […]}`).
    pub answers: Vec<(String, Value)>,
    /// Which writes it judges, in the form of the WIT (`{"operations": ["create"], "mutating": true, "may-touch": ["/spec/reviewed"]}`; the kind is its own
    /// unless said). None: it judges nothing and exports no `review`.
    pub admissions: Vec<Value>,
    /// Further values of `spec.review`: the name, and a verdict in the form of the WIT (`{"allowed": true, "warnings": ["…"]}`).
    pub verdicts: Vec<(String, Value)>,
}

impl Default for Puppet {
    fn default() -> Self {
        Self {
            name: "puppet".to_owned(),
            version: "1.0.0".to_owned(),
            group: "tests.banhbaoring.io".to_owned(),
            kind: "Puppet".to_owned(),
            brings_kind: true,
            permissions: json!({}),
            fickle: false,
            answers: Vec::new(),
            admissions: Vec::new(),
            verdicts: Vec::new(),
        }
    }
}

/// Changes to the puppet's module, for components that are broken before they are called.
#[derive(Default)]
pub(crate) struct Tampering<'a> {
    /// Further items of the module.
    pub(crate) items: &'a str,
    /// Pages of memory at the start, if more than needed.
    pub(crate) pages: usize,
    /// Replaces the body of `describe`.
    pub(crate) describe: Option<&'a str>,
}

impl Puppet {
    /// The component's bytes.
    pub fn component(&self) -> Vec<u8> {
        let contract = Contract::published();
        let module = self.module(&contract, &Tampering::default());
        let worlds: &[&str] = if self.admissions.is_empty() { &["component-plugin"] } else { &["component-plugin", "admission-plugin"] };
        contract.encode(&module, worlds, "")
    }

    /// A puppet that judges every write of its own kind, and may set `/spec/reviewed` if it is to change anything.
    pub fn judging(mutating: bool) -> Self {
        let may_touch = if mutating { json!(["/spec/reviewed"]) } else { json!([]) };
        let operations = json!(["create", "update", "delete"]);
        let mut puppet = Self::default();
        let mut grant = json!({"kind": puppet.group_kind(), "operations": ["CREATE", "UPDATE", "DELETE"]});
        if mutating {
            grant["mayTouch"] = may_touch.clone();
        }
        puppet.permissions = json!({"admission": [grant]});
        puppet.admissions = vec![json!({"operations": operations, "mutating": mutating, "may-touch": may_touch})];
        puppet
    }

    /// `group/Kind`.
    pub fn group_kind(&self) -> String {
        format!("{}/{}", self.group, self.kind)
    }

    /// The plural and lower-case name of the kind.
    pub fn plural(&self) -> String {
        format!("{}s", self.kind.to_lowercase())
    }

    /// The CRD of the kind.
    pub fn crd(&self) -> Value {
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let mut spec = json!({
            "behaviour": {"type": "string"},
            "objects": {"type": "array", "items": anything},
        });
        if !self.admissions.is_empty() {
            spec["review"] = json!({"type": "string"});
            spec["reviewed"] = json!({"type": "string"});
        }
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", self.plural(), self.group)},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {"kind": self.kind, "plural": self.plural(), "singular": self.kind.to_lowercase()},
                "versions": [{
                    "name": "v1alpha1",
                    "served": true,
                    "storage": true,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": spec,
                            },
                            "status": anything,
                        },
                    }},
                }],
            },
        })
    }

    fn descriptor(&self) -> Value {
        let kinds = if self.brings_kind { json!([{"crd": self.crd(), "observation": "watch"}]) } else { json!([]) };
        let mut admissions = self.admissions.clone();
        for admission in &mut admissions {
            if admission.get("kind").is_none() {
                admission["kind"] = self.group_kind().into();
            }
        }
        json!({
            "name": self.name,
            "version": self.version,
            "summary": "Does what its owner says.",
            "kinds": kinds,
            "components": [{
                "name": self.name,
                "kind": self.group_kind(),
                "criticality": "required",
                "condition-types": ["PuppetReady"],
            }],
            "admissions": admissions,
            "permissions": self.permissions,
        })
    }

    pub(crate) fn module(&self, contract: &Contract, tampering: &Tampering<'_>) -> String {
        let mut image = Image::at(BASE, &contract.resolve);
        let (response, failure, object, request) =
            (contract.ty("response"), contract.ty("failure"), contract.ty("object"), contract.ty("request"));
        let descriptor = image.value(&contract.ty("descriptor"), &self.descriptor());
        let summary = descriptor + image.offset(&contract.ty("descriptor"), "summary");
        let payload = image.result_payload(&response, &failure);
        let mut answer = |value: Value| image.ok(&response, &failure, &with_defaults(value));

        let plain = answer(json!({}));
        let deep = answer(json!({"status": format!("{{\"a\":{}{}}}", "[".repeat(DEEP), "]".repeat(DEEP))}));
        let manifest = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"b"}}"#;
        let duplicate = answer(json!({"objects": [{"manifest": manifest}]}));
        let not_json = answer(json!({"status": "{'a': 1}"}));
        let not_utf8 = answer(json!({"message": "????"}));
        let wild = answer(json!({}));
        let metric = answer(json!({"metrics": [{"name": "a", "value": 1.0}]}));
        let needs: Vec<Value> = (0..65).map(|n| json!({"id": format!("n{n}"), "kind": "object", "spec": {}})).collect();
        let needs = answer(json!({"needs": needs}));
        let flaky = answer(json!({"message": "0000000000000000"}));
        let many = answer(json!({}));
        let big = answer(json!({}));
        let own: Vec<(String, usize)> = self.answers.iter().map(|(name, value)| (name.clone(), answer(value.clone()))).collect();

        let refusal = image.reserve(payload + image.size(&response), 8);
        let refused = json!({
            "class": "invalid-config",
            "reason": "Refused",
            "message": "expected another behaviour, found refuse; ask for something else",
            "field": "spec.behaviour",
        });
        let refused_at = image.value(&failure, &refused);
        let template = image.value(&object, &json!({"manifest": {"apiVersion": "v1", "kind": "ConfigMap"}}));
        let objects_needle = "\"objects\":[";
        let objects_needle_at = image.text(objects_needle);

        let message = payload + image.offset(&response, "message");
        let status = payload + image.offset(&response, "status");
        let objects = payload + image.offset(&response, "objects");
        let metrics = payload + image.offset(&response, "metrics");
        let value = image.offset(&contract.ty("metric"), "value");
        let object_size = image.size(&object);
        let behaviours: Vec<(&str, String)> = vec![
            ("loop", "(loop $for_ever (br $for_ever)) unreachable".to_owned()),
            ("bomb", "(loop $more (drop (memory.grow (i32.const 64))) (br $more)) unreachable".to_owned()),
            ("trap", "unreachable".to_owned()),
            ("recurse", "(drop (call $recurse (i32.const 0))) unreachable".to_owned()),
            (
                "big",
                format!(
                    "(i32.store (i32.const {0}) (call $allocate (i32.const {BIG})))
                     (memory.fill (i32.load (i32.const {0})) (i32.const 32) (i32.const {BIG}))
                     (i32.store (i32.const {1}) (i32.const {BIG}))
                     (return (i32.const {big}))",
                    big + status,
                    big + status + 4
                ),
            ),
            (
                "many",
                format!(
                    "(i32.store (i32.const {0}) (call $allocate (i32.const {1})))
                     (i32.store (i32.const {2}) (i32.const {MANY}))
                     (loop $next
                       (memory.copy
                         (i32.add (i32.load (i32.const {0})) (i32.mul (local.get $i) (i32.const {object_size})))
                         (i32.const {template}) (i32.const {object_size}))
                       (local.set $i (i32.add (local.get $i) (i32.const 1)))
                       (br_if $next (i32.lt_u (local.get $i) (i32.const {MANY}))))
                     (return (i32.const {many}))",
                    many + objects,
                    MANY * object_size,
                    many + objects + 4
                ),
            ),
            ("deep", format!("(return (i32.const {deep}))")),
            ("duplicate", format!("(return (i32.const {duplicate}))")),
            ("not-json", format!("(return (i32.const {not_json}))")),
            (
                "not-utf8",
                format!("(i32.store8 (i32.load (i32.const {})) (i32.const 255)) (return (i32.const {not_utf8}))", not_utf8 + message),
            ),
            (
                "wild",
                format!(
                    "(i32.store (i32.const {}) (i32.const 0x7fffff00)) (i32.store (i32.const {}) (i32.const 4))
                     (return (i32.const {wild}))",
                    wild + objects,
                    wild + objects + 4
                ),
            ),
            (
                "not-a-number",
                format!(
                    "(f64.store offset={value} (i32.load (i32.const {})) (f64.const nan)) (return (i32.const {metric}))",
                    metric + metrics
                ),
            ),
            ("needs", format!("(return (i32.const {needs}))")),
            ("flaky", format!("(call $differ (i32.load (i32.const {}))) (return (i32.const {flaky}))", flaky + message)),
            (
                "refuse",
                format!(
                    "(i32.store8 (i32.const {refusal}) (i32.const 1))
                     (memory.copy (i32.const {}) (i32.const {refused_at}) (i32.const {}))
                     (return (i32.const {refusal}))",
                    refusal + payload,
                    image.size(&failure)
                ),
            ),
        ];
        assert!(behaviours.iter().map(|(name, _)| name).eq(BEHAVIOURS), "BEHAVIOURS is the list of these");
        let own = own.iter().map(|(name, at)| (name.as_str(), format!("(return (i32.const {at}))")));
        let mut dispatch = String::new();
        for (name, body) in behaviours.into_iter().chain(own) {
            let needle = format!("\"behaviour\":\"{name}\"");
            let at = image.text(&needle);
            dispatch.push_str(&format!(
                "(if (i32.ne (call $find (local.get $config) (local.get $length) (i32.const {at}) (i32.const {})) (i32.const -1))
                   (then {body}))\n",
                needle.len()
            ));
        }

        let review = if self.admissions.is_empty() { String::new() } else { crate::review::function(contract, &mut image, &self.verdicts) };
        let config = image.offset(&request, "config");
        let heap = image.end().next_multiple_of(16);
        let pages = tampering.pages.max(heap / 65_536 + 2);
        let differ = if self.fickle { format!("(call $differ (i32.load (i32.const {summary})))") } else { String::new() };
        let describe = tampering.describe.map_or_else(|| format!("{differ} (i32.const {descriptor})"), str::to_owned);
        format!(
            r#"(module
  (memory (export "memory") {pages})
  (data (i32.const {BASE}) "{data}")
  (global $heap (mut i32) (i32.const {heap}))
  (global $calls (mut i32) (i32.const 0))
  {items}
  {LIBRARY}
  (func (export "{export_describe}") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    {describe})
  (func (export "{export_reconcile}") (param $request i32) (result i32)
    (local $config i32) (local $length i32) (local $i i32)
    (local.set $config (i32.load offset={config} (local.get $request)))
    (local.set $length (i32.load offset={config_length} (local.get $request)))
    {dispatch}
    (call $objects (local.get $config) (local.get $length) (i32.const {plain_objects}))
    (i32.const {plain}))
  {review}
  (func $objects (param $p i32) (param $length i32) (param $list i32)
    (local $i i32) (local $depth i32) (local $start i32) (local $c i32) (local $text i32) (local $entry i32)
    (local.set $i (call $find (local.get $p) (local.get $length)
      (i32.const {objects_needle_at}) (i32.const {objects_needle_length})))
    (if (i32.eq (local.get $i) (i32.const -1)) (then (return)))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $length)))
      (local.set $c (i32.load8_u (i32.add (local.get $p) (local.get $i))))
      (block $done
        (if (local.get $text)
          (then
            (if (i32.eq (local.get $c) (i32.const 92)) (then (local.set $i (i32.add (local.get $i) (i32.const 1)))))
            (if (i32.eq (local.get $c) (i32.const 34)) (then (local.set $text (i32.const 0))))
            (br $done)))
        (if (i32.eq (local.get $c) (i32.const 34)) (then (local.set $text (i32.const 1))))
        (if (i32.eq (local.get $c) (i32.const 91)) (then (local.set $depth (i32.add (local.get $depth) (i32.const 1)))))
        (if (i32.eq (local.get $c) (i32.const 93))
          (then
            (br_if $end (i32.eqz (local.get $depth)))
            (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))))
        (if (i32.eq (local.get $c) (i32.const 123))
          (then
            (if (i32.eqz (local.get $depth)) (then (local.set $start (local.get $i))))
            (local.set $depth (i32.add (local.get $depth) (i32.const 1)))))
        (if (i32.eq (local.get $c) (i32.const 125))
          (then
            (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
            (br_if $done (local.get $depth))
            (local.set $entry (call $allocate (i32.const {object_size})))
            (memory.copy (local.get $entry) (i32.const {template}) (i32.const {object_size}))
            (i32.store offset={manifest} (local.get $entry) (i32.add (local.get $p) (local.get $start)))
            (i32.store offset={manifest_length} (local.get $entry)
              (i32.add (i32.sub (local.get $i) (local.get $start)) (i32.const 1)))
            (if (i32.eqz (i32.load offset=4 (local.get $list))) (then (i32.store (local.get $list) (local.get $entry))))
            (i32.store offset=4 (local.get $list) (i32.add (i32.load offset=4 (local.get $list)) (i32.const 1))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))))
)"#,
            data = image.literal(),
            items = tampering.items,
            export_describe = contract.export("metadata", "describe"),
            export_reconcile = contract.export("component", "reconcile"),
            config_length = config + 4,
            plain_objects = plain + objects,
            objects_needle_length = objects_needle.len(),
            manifest = image.offset(&object, "manifest"),
            manifest_length = image.offset(&object, "manifest") + 4,
        )
    }
}

fn with_defaults(mut response: Value) -> Value {
    for (field, value) in [
        ("outputs", json!({})),
        ("status", json!({})),
        ("state", json!("ready")),
        ("reason", json!("AsAsked")),
        ("message", json!("did what the spec says")),
    ] {
        if response.get(field).is_none() {
            response[field] = value;
        }
    }
    response
}
