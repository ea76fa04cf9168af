//! Tokens of a plugin's own service account, for one audience. One that the API server itself would take is never handed out: with it, whoever receives
//! it could do there what the plugin may.

use std::time::Duration;

use banhbaoring_api::plugin::NamespacedName;
use http::Request;
use serde_json::{Value, json};

use super::ExchangeError;
use crate::cluster::Cluster;
use crate::request::{ApiError, Target, within};

/// Lifetime of a token in seconds: the least that the API server gives.
const LIFETIME: u64 = 600;
/// How long the API server is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cluster {
    /// A token of the account, asked for by the account itself.
    pub(super) async fn account_token(&self, account: &NamespacedName, audience: &str) -> Result<String, ExchangeError> {
        let target = Target {
            verb: "create",
            resource: "serviceaccounts/token".to_owned(),
            namespace: Some(account.namespace.clone()),
            name: account.name.clone(),
            account: Some(account.clone()),
        };
        let client = self.clients.acting_as(account).map_err(ApiError::from)?;
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", account.namespace, account.name);
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": LIFETIME}});
        let request = Request::post(path).header("content-type", "application/json").body(body.to_string().into_bytes());
        let request = request.map_err(|error| ApiError::Address { message: error.to_string() })?;
        let text = within(&target, client.request_text(request)).await?;
        let answer: Value = serde_json::from_str(&text).map_err(|_| ApiError::Unreadable { target: target.to_string() })?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        let token = token.ok_or_else(|| ApiError::Unreadable { target: target.to_string() })?;
        if self.is_let_in(token).await? {
            let message = format!("the API server itself takes tokens for the audience {audience}; none is handed out");
            return Err(ExchangeError::Refused(message));
        }
        Ok(token.to_owned())
    }

    /// Whether the API server takes the token. Any answer but a clear no is a yes.
    async fn is_let_in(&self, token: &str) -> Result<bool, ExchangeError> {
        let Some(nobody) = self.clients.nobody() else {
            return Ok(true);
        };
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string().into_bytes();
        let request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(body)
            .map_err(|error| ApiError::Address { message: error.to_string() })?;
        let unavailable = |why: String| ExchangeError::Unreachable(format!("whether the API server takes the token is not known: {why}"));
        match tokio::time::timeout(PATIENCE, nobody.request_text(request)).await {
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => Ok(false),
            Ok(Ok(_) | Err(kube::Error::Api(_))) => Ok(true),
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(_) => Err(unavailable("no answer in time".to_owned())),
        }
    }
}
