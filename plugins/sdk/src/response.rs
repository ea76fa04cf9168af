//! What a component answers, written as a chain.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::json;
use crate::object::Object;
use crate::secret::set;
use crate::wit::{self, Action, Condition, ConditionStatus, Event, EventType, Failure, GeneratedSecret, Metric, Need, State};

/// The desired world of one component. A part that does not serialise makes the whole answer a failure, so nothing is applied half.
#[derive(Debug)]
pub struct Response {
    inner: wit::Response,
    outputs: Map<String, Value>,
    status: Map<String, Value>,
    failure: Option<Failure>,
}

impl Response {
    /// Everything is there and works.
    pub fn ready() -> Self {
        Self::in_state(State::Ready, "Ready", "")
    }

    /// Under way. `reason` is CamelCase.
    pub fn progressing(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::in_state(State::Progressing, reason, message)
    }

    /// Waits for something that this component does not make. What is there stays, whether it is asked for or not.
    pub fn blocked(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::in_state(State::Blocked, reason, message)
    }

    /// Does not work, although the desired objects are right.
    pub fn failed(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::in_state(State::Failed, reason, message)
    }

    /// Switched off by the owner's spec.
    pub fn disabled(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::in_state(State::Disabled, reason, message)
    }

    /// In a state that is computed.
    pub fn in_state(state: State, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            inner: wit::Response {
                objects: Vec::new(),
                secrets: Vec::new(),
                needs: Vec::new(),
                actions: Vec::new(),
                outputs: String::new(),
                status: String::new(),
                conditions: Vec::new(),
                events: Vec::new(),
                metrics: Vec::new(),
                state,
                reason: reason.into(),
                message: message.into(),
                requeue_after_seconds: None,
                finalized: false,
            },
            outputs: Map::new(),
            status: Map::new(),
            failure: None,
        }
    }

    /// The same answer in another state: for components that collect objects first and judge afterwards.
    #[must_use]
    pub fn state(mut self, state: State, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.inner.state = state;
        self.inner.reason = reason.into();
        self.inner.message = message.into();
        self
    }

    /// An object kept as written. For anything else see [`Response::object`].
    #[must_use]
    pub fn apply<T: Serialize + ?Sized>(self, manifest: &T) -> Self {
        self.object(Object::of(manifest))
    }

    /// An object with its mode.
    #[must_use]
    pub fn object(mut self, object: Object) -> Self {
        match object.build() {
            Ok(object) => self.inner.objects.push(object),
            Err(failure) => self.fail(failure),
        }
        self
    }

    /// Several objects.
    #[must_use]
    pub fn objects(self, objects: impl IntoIterator<Item = Object>) -> Self {
        objects.into_iter().fold(self, Self::object)
    }

    /// A Secret that the host makes.
    #[must_use]
    pub fn secret(mut self, secret: GeneratedSecret) -> Self {
        self.inner.secrets.push(secret);
        self
    }

    /// A question. Its answer comes with a later request; keep asking as long as it is wanted.
    #[must_use]
    pub fn need(mut self, need: Need) -> Self {
        self.inner.needs.push(need);
        self
    }

    /// A side effect after apply, in the order written.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.inner.actions.push(action);
        self
    }

    /// One output for the components after this one.
    #[must_use]
    pub fn output<T: Serialize>(mut self, name: impl Into<String>, value: T) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => drop(self.outputs.insert(name.into(), value)),
            Err(error) => self.fail(unserialisable("an output", &error)),
        }
        self
    }

    /// Fields of this component's fragment of the owner's status. Several calls are merged; null members are left out.
    #[must_use]
    pub fn status<T: Serialize>(mut self, fragment: &T) -> Self {
        match serde_json::to_value(fragment) {
            Ok(Value::Object(members)) => {
                self.status.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
            }
            Ok(_) => self.fail(Failure::internal("UnserialisableStatus", "a status fragment must be a JSON object")),
            Err(error) => self.fail(unserialisable("the status", &error)),
        }
        self
    }

    /// A condition of a declared type.
    #[must_use]
    pub fn condition(
        mut self,
        condition_type: impl Into<String>,
        status: impl Into<ConditionStatus>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        self.inner.conditions.push(Condition {
            condition_type: condition_type.into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
        });
        self
    }

    /// An event of type Normal. Events with the same key are told once until the key changes.
    #[must_use]
    pub fn event(self, key: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.tell(EventType::Normal, key.into(), reason.into(), message.into())
    }

    /// An event of type Warning.
    #[must_use]
    pub fn warning(self, key: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.tell(EventType::Warning, key.into(), reason.into(), message.into())
    }

    /// A sample of a declared metric.
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>, labels: &[(&str, &str)], value: f64) -> Self {
        let mut pairs = Vec::new();
        for (key, label) in labels {
            set(&mut pairs, (*key).to_owned(), (*label).to_owned());
        }
        self.inner.metrics.push(Metric { name: name.into(), labels: pairs, value });
        self
    }

    /// Run again after so many seconds, even if nothing changes.
    #[must_use]
    pub fn requeue_after(mut self, seconds: u32) -> Self {
        self.inner.requeue_after_seconds = Some(seconds);
        self
    }

    /// While the owner is being deleted: this component is done.
    #[must_use]
    pub fn finalized(mut self) -> Self {
        self.inner.finalized = true;
        self
    }

    /// The answer as it crosses to the host.
    pub fn build(self) -> Result<wit::Response, Failure> {
        let Self { mut inner, outputs, status, failure } = self;
        if let Some(failure) = failure {
            return Err(failure);
        }
        inner.outputs = json::canonical(&Value::Object(outputs));
        inner.status = json::canonical(&Value::Object(status));
        Ok(inner)
    }

    fn tell(mut self, event_type: EventType, key: String, reason: String, message: String) -> Self {
        self.inner.events.push(Event { key, event_type, reason, message });
        self
    }

    fn fail(&mut self, failure: Failure) {
        // The first one is the cause; later ones may follow from it.
        self.failure.get_or_insert(failure);
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

fn unserialisable(what: &str, error: &serde_json::Error) -> Failure {
    Failure::internal("UnserialisableResponse", format!("{what} does not serialise to JSON: {error}"))
}
