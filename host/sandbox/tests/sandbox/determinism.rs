//! The same input has the same answer: whatever the guest tries, and what the host does should it succeed one day.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use banhbaoring_api::Grants;
use banhbaoring_api::plugin::NamespacedName;
use banhbaoring_pipeline::contract::{Failure, FailureClass, Request, Response, Seal, SealRequest};
use banhbaoring_pipeline::plugins::ActivePlugin;
use banhbaoring_pipeline::render::Render;
use banhbaoring_sandbox::{CallError, Checked, Modules};
use serde_json::json;

use crate::{POOLING, behaving, puppet, sandboxes};

fn plugin() -> ActivePlugin {
    ActivePlugin {
        name: "puppet".to_owned(),
        digest: "sha256:1".to_owned(),
        descriptor: puppet(&POOLING).describe().unwrap(),
        grants: Grants::default(),
        account: NamespacedName { namespace: "plugins".to_owned(), name: "puppet".to_owned() },
        config: json!({}),
        allowed_namespaces: Vec::new(),
    }
}

#[test]
fn a_guest_that_tries_to_differ_answers_the_same_each_time() {
    let mut messages = Vec::new();
    for sandbox in sandboxes() {
        let module = puppet(sandbox);
        for round in 0..100 {
            // Other calls leave their dirt in the slots between.
            let _ = module.reconcile(&behaving(["bomb", "many", "trap"][round % 3]));
            messages.push(module.reconcile(&behaving("flaky")).unwrap().unwrap().message);
        }
    }
    assert_ne!(messages[0], "0000000000000000", "the guest did look");
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let checked = Checked(Modules::default().with("puppet", "sha256:1", puppet(&POOLING)));
    assert_eq!(checked.reconcile(&plugin(), &behaving("flaky")).unwrap().message, messages[0]);
}

/// A plugin that succeeds at what no guest can: it knows how often it was called.
struct Fickle {
    calls: AtomicU32,
    failure: Option<Failure>,
}

impl Fickle {
    fn differing() -> Checked<Self> {
        Checked(Self { calls: AtomicU32::default(), failure: None })
    }

    fn failing_once(error: CallError) -> Checked<Self> {
        Checked(Self { calls: AtomicU32::default(), failure: Some(error.into()) })
    }
}

impl Render for Fickle {
    fn reconcile(&self, _: &ActivePlugin, request: &Request) -> Result<Arc<Response>, Failure> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if let (1, Some(failure)) = (call, &self.failure) {
            return Err(failure.clone());
        }
        let mut response = puppet(&POOLING).reconcile(request).unwrap().unwrap();
        if self.failure.is_none() {
            response.message = format!("call {call}");
        }
        Ok(Arc::new(response))
    }

    fn render_seal(&self, _: &ActivePlugin, _: &str, _: &SealRequest) -> Result<Arc<Seal>, Failure> {
        panic!("no provider")
    }
}

#[test]
fn a_different_answer_to_the_same_input_is_refused() {
    let failure = Fickle::differing().reconcile(&plugin(), &behaving("none")).unwrap_err();
    assert_eq!((failure.class, failure.reason.as_str()), (FailureClass::Plugin, "NotDeterministic"));
    let trapped = CallError::Trapped { trap: "unreachable".to_owned() };
    let failure = Fickle::failing_once(trapped).reconcile(&plugin(), &behaving("none")).unwrap_err();
    assert_eq!(failure.reason, "NotDeterministic");
}

#[test]
fn a_slow_machine_does_not_make_a_plugin_impure() {
    let late = CallError::TimedOut { limit_ms: 5_000 };
    let failure = Fickle::failing_once(late).reconcile(&plugin(), &behaving("none")).unwrap_err();
    assert_eq!(failure.reason, "TimedOut");
}
