//! Version 0.1 of the contract: the only bindings of it on the host's side, and calls through them. The world is what the host can call;
//! a plugin exports the interfaces that it has, so each is looked up by itself.

mod descriptor;
mod request;
mod response;
mod review;
mod seal;

use banhbaoring_pipeline::contract::{
    Descriptor, Failure, FailureClass, Request, Response, ReviewRequest, ReviewResponse, Seal, SealRequest,
};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower};

use crate::answer::Reader;
use crate::call::{Caller, Guest};
use crate::error::{CallError, excerpt};
use crate::load::LoadError;
use crate::version::Interface;

#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated: the WIT carries the documentation"
)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "plugin",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

use bindings::exports::banhbaoring::plugin::{admission, component, metadata, types as wit, unseal_provider};

const METADATA: &str = "banhbaoring:plugin/metadata@0.1.0";
const COMPONENT: &str = "banhbaoring:plugin/component@0.1.0";
const UNSEAL_PROVIDER: &str = "banhbaoring:plugin/unseal-provider@0.1.0";
const ADMISSION: &str = "banhbaoring:plugin/admission@0.1.0";
const WEBHOOK: &str = "banhbaoring:plugin/webhook@0.1.0";

/// A plugin of this version, linked and looked up, without an instance.
pub(crate) struct Plugin {
    pre: InstancePre<Guest>,
    metadata: metadata::GuestIndices,
    component: Option<component::GuestIndices>,
    unseal_provider: Option<unseal_provider::GuestIndices>,
    admission: Option<admission::GuestIndices>,
    interfaces: Vec<Interface>,
}

impl Plugin {
    pub(crate) fn new(pre: InstancePre<Guest>) -> Result<Self, LoadError> {
        let has = |name: &str| pre.component().get_export_index(None, name).is_some();
        let wrong = |interface: &'static str| {
            move |error: wasmtime::Error| LoadError::WrongType { interface, detail: excerpt(&format!("{error:#}")) }
        };
        let mut interfaces = vec![Interface::Metadata];
        let mut note = |interface, exported| {
            if exported {
                interfaces.push(interface);
            }
            exported
        };
        typecheck::<(), (wit::Descriptor,)>(&pre, METADATA, "describe").map_err(wrong(METADATA))?;
        let component = note(Interface::Component, has(COMPONENT))
            .then(|| {
                typecheck::<(&wit::Request,), (Result<wit::Response, wit::Failure>,)>(&pre, COMPONENT, "reconcile")?;
                component::GuestIndices::new(&pre)
            })
            .transpose()
            .map_err(wrong(COMPONENT))?;
        let unseal_provider = note(Interface::UnsealProvider, has(UNSEAL_PROVIDER))
            .then(|| {
                typecheck::<(&wit::SealRequest,), (Result<wit::Seal, wit::Failure>,)>(&pre, UNSEAL_PROVIDER, "render")?;
                unseal_provider::GuestIndices::new(&pre)
            })
            .transpose()
            .map_err(wrong(UNSEAL_PROVIDER))?;
        let admission = note(Interface::Admission, has(ADMISSION))
            .then(|| {
                typecheck::<(&wit::ReviewRequest,), (Result<wit::ReviewResponse, wit::Failure>,)>(&pre, ADMISSION, "review")?;
                admission::GuestIndices::new(&pre)
            })
            .transpose()
            .map_err(wrong(ADMISSION))?;
        note(Interface::Webhook, has(WEBHOOK));
        let metadata = metadata::GuestIndices::new(&pre).map_err(wrong(METADATA))?;
        Ok(Self { pre, metadata, component, unseal_provider, admission, interfaces })
    }

    pub(crate) fn interfaces(&self) -> Vec<Interface> {
        self.interfaces.clone()
    }

    pub(crate) fn describe(&self, caller: &Caller) -> Result<Descriptor, CallError> {
        descriptor::read(self.raw_describe(caller)?, &mut Reader::new(caller.limits.response))
    }

    pub(crate) fn reconcile(&self, caller: &Caller, request: &Request) -> Result<Result<Response, Failure>, CallError> {
        match self.raw_reconcile(caller, &request::write(request))? {
            Ok(response) => response::read(response, &mut Reader::new(caller.limits.response)).map(Ok),
            Err(refusal) => failure(refusal).map(Err),
        }
    }

    pub(crate) fn render_seal(&self, caller: &Caller, request: &SealRequest) -> Result<Result<Seal, Failure>, CallError> {
        match self.raw_render_seal(caller, &request::write_seal(request))? {
            Ok(seal) => seal::read(seal, "", &mut Reader::new(caller.limits.response)).map(Ok),
            Err(refusal) => failure(refusal).map(Err),
        }
    }

    pub(crate) fn review(&self, caller: &Caller, request: &ReviewRequest) -> Result<Result<ReviewResponse, Failure>, CallError> {
        match self.raw_review(caller, &review::write(request))? {
            Ok(response) => review::read(response, &mut Reader::new(caller.limits.response)).map(Ok),
            Err(refusal) => failure(refusal).map(Err),
        }
    }

    pub(crate) fn raw_describe(&self, caller: &Caller) -> Result<wit::Descriptor, CallError> {
        caller.call(&self.pre, |store, instance| self.metadata.load(&mut *store, instance)?.call_describe(store))
    }

    pub(crate) fn raw_reconcile(&self, caller: &Caller, request: &wit::Request) -> Result<Result<wit::Response, wit::Failure>, CallError> {
        let indices = self.component.as_ref().ok_or(CallError::MissingInterface { interface: COMPONENT })?;
        caller.call(&self.pre, |store, instance| indices.load(&mut *store, instance)?.call_reconcile(store, request))
    }

    pub(crate) fn raw_render_seal(
        &self,
        caller: &Caller,
        request: &wit::SealRequest,
    ) -> Result<Result<wit::Seal, wit::Failure>, CallError> {
        let indices = self.unseal_provider.as_ref().ok_or(CallError::MissingInterface { interface: UNSEAL_PROVIDER })?;
        caller.call(&self.pre, |store, instance| indices.load(&mut *store, instance)?.call_render(store, request))
    }

    pub(crate) fn raw_review(
        &self,
        caller: &Caller,
        request: &wit::ReviewRequest,
    ) -> Result<Result<wit::ReviewResponse, wit::Failure>, CallError> {
        let indices = self.admission.as_ref().ok_or(CallError::MissingInterface { interface: ADMISSION })?;
        caller.call(&self.pre, |store, instance| indices.load(&mut *store, instance)?.call_review(store, request))
    }
}

/// Whether the export has the contract's type, so that a plugin that does not is refused when it is loaded and not when it is called.
fn typecheck<Params, Answer>(pre: &InstancePre<Guest>, interface: &str, function: &str) -> wasmtime::Result<()>
where
    Params: ComponentNamedList + Lower,
    Answer: ComponentNamedList + Lift,
{
    let missing = || wasmtime::format_err!("it has no function `{function}`");
    let index = pre.component().get_export_index(None, interface).ok_or_else(missing)?;
    match pre.component().get_export(Some(&index), function).ok_or_else(missing)?.0 {
        ComponentItem::ComponentFunc(function) => function.typecheck::<Params, Answer>(&pre.instance_type()),
        _ => Err(missing()),
    }
}

fn failure(failure: wit::Failure) -> Result<Failure, CallError> {
    Ok(Failure {
        class: match failure.class {
            wit::FailureClass::InvalidConfig => FailureClass::InvalidConfig,
            wit::FailureClass::Unsupported => FailureClass::Unsupported,
            wit::FailureClass::Internal => FailureClass::Internal,
        },
        reason: Reader::reason("failure.reason", failure.reason)?,
        message: Reader::message("failure.message", failure.message)?,
        field: failure.field.map(|field| Reader::message("failure.field", field)).transpose()?,
    })
}

/// Ordered pairs.
fn pairs(what: &str, list: Vec<wit::KeyValue>, reader: &Reader) -> Result<Vec<(String, String)>, CallError> {
    Ok(reader.entries(what, list)?.into_iter().map(|pair| (pair.key, pair.value)).collect())
}

fn key_values(pairs: &[(String, String)]) -> Vec<wit::KeyValue> {
    pairs.iter().map(|(key, value)| wit::KeyValue { key: key.clone(), value: value.clone() }).collect()
}
