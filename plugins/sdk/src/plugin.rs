//! A whole plugin: what [`crate::export_plugin!`] implements, and how the generated bindings reach it. The functions that a plugin does
//! not have answer `unsupported`.

use std::marker::PhantomData;

use crate::bindings::exports::banhbaoring::plugin::{admission, component, metadata, unseal_provider, webhook};
use crate::wit::{Delivery, Descriptor, Failure, Request, Response, ReviewRequest, ReviewResponse, Seal, SealRequest, WebhookResponse};

/// Everything that the host can call. Every function is pure.
pub trait Plugin {
    /// What the plugin is.
    fn describe() -> Descriptor;

    /// Renders the component that the request names.
    fn reconcile(request: Request) -> Result<Response, Failure> {
        Err(missing("component", &request.component))
    }

    /// Fills an unseal slot.
    fn render(request: SealRequest) -> Result<Seal, Failure> {
        let _ = request;
        Err(missing("unseal-provider", "render"))
    }

    /// Judges an object.
    fn review(request: ReviewRequest) -> Result<ReviewResponse, Failure> {
        Err(missing("admission", &request.kind))
    }

    /// Receives an inbound request.
    fn receive(delivery: Delivery) -> Result<WebhookResponse, Failure> {
        Err(missing("webhook", &delivery.webhook))
    }
}

/// The failure for something that this plugin does not have.
pub fn missing(interface: &str, name: &str) -> Failure {
    Failure::unsupported("NotImplemented", format!("this plugin has no {interface} `{name}`; the descriptor lists what it has"))
}

/// Joins a [`Plugin`] to the generated bindings.
pub struct Exported<P>(PhantomData<P>);

impl<P: Plugin> metadata::Guest for Exported<P> {
    fn describe() -> Descriptor {
        P::describe()
    }
}

impl<P: Plugin> component::Guest for Exported<P> {
    fn reconcile(request: Request) -> Result<Response, Failure> {
        P::reconcile(request)
    }
}

impl<P: Plugin> unseal_provider::Guest for Exported<P> {
    fn render(request: SealRequest) -> Result<Seal, Failure> {
        P::render(request)
    }
}

impl<P: Plugin> admission::Guest for Exported<P> {
    fn review(request: ReviewRequest) -> Result<ReviewResponse, Failure> {
        P::review(request)
    }
}

impl<P: Plugin> webhook::Guest for Exported<P> {
    fn receive(delivery: Delivery) -> Result<WebhookResponse, Failure> {
        P::receive(delivery)
    }
}
