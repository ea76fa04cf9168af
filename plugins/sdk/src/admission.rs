//! Judging writes: a struct, which writes it judges, and one pure function from a [`ReviewContext`] to a [`Verdict`]. A refusal is the same [`Failure`] that a
//! component gives, so that one check serves both: what the class says is the writer's to mend becomes a denial that names the field.
//!
//! ```
//! # use banhbaoring_sdk::prelude::*;
//! # #[derive(serde::Deserialize)] struct Config { greeting: String }
//! struct HelloAdmission;
//!
//! #[derive(serde::Deserialize)]
//! struct Written { spec: Config }                     // only what is judged
//!
//! impl Admission for HelloAdmission {
//!     const KIND: &'static str = "example.org/Hello";
//!     type Object = Written;                          // or DynamicObject
//!
//!     fn describe() -> AdmissionDescriptor {
//!         AdmissionDescriptor::on(&[Operation::Create, Operation::Update, Operation::Delete])
//!             .validation("request.operation != 'DELETE' || !has(oldObject.spec.keep) || !oldObject.spec.keep", "spec.keep is set; take it off first")
//!     }
//!
//!     fn review(cx: &ReviewContext<Self>) -> Result<Verdict, Failure> {
//!         if cx.operation() == Operation::Delete {
//!             let kept = cx.old_value().pointer("/spec/keep") == Some(&true.into());
//!             return Ok(if kept { Verdict::denied("spec.keep is set; take it off first") } else { Verdict::allowed() });
//!         }
//!         if cx.is_deleting() || !cx.changes("/spec") {
//!             return Ok(Verdict::allowed());          // what is stored stays writable
//!         }
//!         if cx.object()?.spec.greeting.is_empty() {
//!             return Err(Failure::invalid("spec.greeting", "expected a greeting, found none; write one"));
//!         }
//!         Ok(Verdict::allowed().warn("greetings cannot be taken back"))
//!     }
//! }
//!
//! export_plugin!(name: "hello", admissions: [HelloAdmission]);
//! # fn main() {}
//! ```

use std::marker::PhantomData;

use banhbaoring_contract::need::NeedSpec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::json::canonical;
use crate::parse;
use crate::wit::{
    AdmissionDescriptor, Failure, FailureClass, KeyValue, Need, Operation, Platform, ReviewPatch, ReviewRequest, ReviewResponse, Validation,
};

/// Judges writes of one kind.
pub trait Admission: Sized + 'static {
    /// What it judges: `group/Kind`.
    const KIND: &'static str;
    /// The object's type; [`DynamicObject`](crate::DynamicObject) where there is none. Only what is judged has to be in it.
    type Object: DeserializeOwned;

    /// Which writes it judges. The kind is filled in.
    fn describe() -> AdmissionDescriptor;

    /// Whether the write may go on. The same context gives the same verdict, always. A failure of the classes `invalid-config` and `unsupported` refuses the
    /// write; `internal` says that there is no verdict.
    fn review(cx: &ReviewContext<Self>) -> Result<Verdict, Failure>;
}

impl AdmissionDescriptor {
    /// Judges these operations and changes nothing.
    pub fn on(operations: &[Operation]) -> Self {
        Self {
            kind: String::new(),
            operations: operations.to_vec(),
            mutating: false,
            match_conditions: Vec::new(),
            may_touch: Vec::new(),
            validations: Vec::new(),
        }
    }

    /// A CEL expression that a write must meet to be judged at all. An API server before 1.28 asks nevertheless: a `review` that would judge such a write
    /// otherwise has to look by itself.
    #[must_use]
    pub fn match_condition(mut self, name: impl Into<String>, expression: impl Into<String>) -> Self {
        self.match_conditions.push(KeyValue { key: name.into(), value: expression.into() });
        self
    }

    /// A CEL expression over `object`, `oldObject` and `request` that must hold, which the API server judges by itself where it can. It is judged at every
    /// operation, so one that speaks of deletion begins with `request.operation != 'DELETE' || `. `review` has to say the same.
    #[must_use]
    pub fn validation(mut self, expression: impl Into<String>, message: impl Into<String>) -> Self {
        self.validations.push(Validation { expression: expression.into(), message: message.into() });
        self
    }

    /// A place that it may change, a JSON pointer. This makes it a mutating one.
    #[must_use]
    pub fn may_touch(mut self, pointer: impl Into<String>) -> Self {
        self.mutating = true;
        self.may_touch.push(pointer.into());
        self
    }
}

/// Everything that a verdict may be based on.
pub struct ReviewContext<A: Admission> {
    request: ReviewRequest,
    object: Value,
    old_object: Value,
    kind: PhantomData<A>,
}

impl<A: Admission> ReviewContext<A> {
    /// Reads a request.
    pub fn new(request: ReviewRequest) -> Result<Self, Failure> {
        let read = |what: &str, text: &Option<String>| text.as_deref().map_or(Ok(Value::Null), |text| parse::host(what, text));
        let (object, old_object) = (read("the object", &request.object)?, read("the object before", &request.old_object)?);
        Ok(Self { request, object, old_object, kind: PhantomData })
    }

    /// What is done.
    pub fn operation(&self) -> Operation {
        self.request.operation
    }

    /// The object as it shall be. One that does not fit its type is a failure that names the field, which refuses the write: an update that is none of your
    /// business has to be let through before.
    pub fn object(&self) -> Result<A::Object, Failure> {
        let object = self.request.object.as_deref();
        let text =
            object.ok_or_else(|| Failure::internal("NoObject", "expected an object, found a deletion; read the one before instead"))?;
        parse::config(text, "")
    }

    /// The object as it is; `None` where it is created, or where it does not fit its type (any more): who writes now cannot change what stands there. See
    /// also [`old_value`](Self::old_value).
    pub fn old_object(&self) -> Option<A::Object> {
        parse::config(self.request.old_object.as_deref()?, "").ok()
    }

    /// The object as it shall be, whatever its type; null where it is deleted.
    pub fn value(&self) -> &Value {
        &self.object
    }

    /// The object as it is, whatever its type; null where it is created.
    pub fn old_value(&self) -> &Value {
        &self.old_object
    }

    /// The same write if it stored once more what is there; `None` where it is created. What is refused of that was wrong before.
    pub fn before(&self) -> Option<Self> {
        let request = ReviewRequest { object: Some(self.request.old_object.clone()?), ..self.request.clone() };
        Some(Self { request, object: self.old_object.clone(), old_object: self.old_object.clone(), kind: PhantomData })
    }

    /// What lies at this JSON pointer differs between the two. A stored object that is not right must stay writable elsewhere, so judge only what changed.
    pub fn changes(&self, pointer: &str) -> bool {
        self.object.pointer(pointer) != self.old_object.pointer(pointer)
    }

    /// The object is being deleted already and waits for its finalizers.
    pub fn is_deleting(&self) -> bool {
        self.object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
    }

    /// The object's name; empty where the API server has yet to make it of `generateName`.
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// The object's namespace; empty for a cluster-scoped one.
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// Who writes.
    pub fn user(&self) -> &str {
        &self.request.user
    }

    /// Their groups.
    pub fn groups(&self) -> &[String] {
        &self.request.groups
    }

    /// Nothing will be stored.
    pub fn dry_run(&self) -> bool {
        self.request.dry_run
    }

    /// The answer to a need of the verdict before.
    pub fn answer<S: NeedSpec>(&self, id: &str) -> Result<Answer<S::Answer>, Failure> {
        answer::answer(&self.request.answers, id)
    }

    /// The cluster. See also [`PlatformExt::serves`](crate::PlatformExt::serves).
    pub fn platform(&self) -> &Platform {
        &self.request.platform
    }

    /// `Plugin.spec.config`. One that does not fit is no fault of who writes, hence a failure of the class `internal`.
    pub fn plugin_config<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        parse::config(&self.request.plugin_config, "Plugin.spec.config")
            .map_err(|failure| Failure { class: FailureClass::Internal, ..failure })
    }

    /// The request as it came.
    pub fn request(&self) -> &ReviewRequest {
        &self.request
    }

    fn metadata(&self, field: &str) -> &str {
        let object = if self.object.is_null() { &self.old_object } else { &self.object };
        object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What is said of a write, written as a chain.
#[derive(Debug)]
pub struct Verdict {
    inner: ReviewResponse,
    failure: Option<Failure>,
}

impl Verdict {
    /// The write may go on.
    pub fn allowed() -> Self {
        Self::with(true, String::new())
    }

    /// It may not. `message` says what was expected, what was found and what to do next; where a field is to blame, return a [`Failure::invalid`] instead.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::with(false, message.into())
    }

    /// Shown to whoever writes, at most 16 of 256 bytes. Where it is denied as well.
    #[must_use]
    pub fn warn(mut self, text: impl Into<String>) -> Self {
        self.inner.warnings.push(text.into());
        self
    }

    /// Sets what lies at a JSON pointer, which has to be below one of [`AdmissionDescriptor::may_touch`].
    #[must_use]
    pub fn set<T: Serialize + ?Sized>(mut self, pointer: impl Into<String>, value: &T) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => self.inner.patches.push(ReviewPatch { path: pointer.into(), value: Some(canonical(&value)) }),
            Err(error) => {
                let message = format!("a value to be set does not serialise to JSON: {error}");
                self.failure.get_or_insert(Failure::internal("UnserialisableVerdict", message));
            }
        }
        self
    }

    /// Removes what lies at a JSON pointer.
    #[must_use]
    pub fn remove(mut self, pointer: impl Into<String>) -> Self {
        self.inner.patches.push(ReviewPatch { path: pointer.into(), value: None });
        self
    }

    /// A question to be answered first, of the mode `fresh`. The verdict counts once no question is left without an answer, so ask again for what is known.
    #[must_use]
    pub fn need(mut self, need: Need) -> Self {
        self.inner.needs.push(need);
        self
    }

    /// The verdict as it crosses to the host.
    pub fn build(self) -> Result<ReviewResponse, Failure> {
        self.failure.map_or(Ok(self.inner), Err)
    }

    fn with(allowed: bool, message: String) -> Self {
        let inner = ReviewResponse { allowed, message, warnings: Vec::new(), patches: Vec::new(), needs: Vec::new() };
        Self { inner, failure: None }
    }
}

/// Runs an admission on a request from the host.
pub fn review<A: Admission>(request: ReviewRequest) -> Result<ReviewResponse, Failure> {
    let verdict = ReviewContext::new(request).and_then(|cx| A::review(&cx)).and_then(Verdict::build);
    verdict.or_else(|failure| match failure.class {
        FailureClass::InvalidConfig | FailureClass::Unsupported => {
            let message = match failure.field.filter(|field| !field.is_empty()) {
                Some(field) => format!("{field}: {}", failure.message),
                None => failure.message,
            };
            Verdict::denied(message).build()
        }
        FailureClass::Internal => Err(failure),
    })
}

/// Whether a request is for this admission: of several for one kind the first that lists the operation is asked.
pub fn judges<A: Admission>(request: &ReviewRequest) -> bool {
    request.kind == A::KIND && A::describe().operations.contains(&request.operation)
}
