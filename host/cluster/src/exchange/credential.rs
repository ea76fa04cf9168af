//! What is put into a request that no plugin sees: values of Secrets, tokens of the plugin's own account, and logins, whose tokens are kept in memory
//! until their lease is nearly over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use banhbaoring_contract::http::{Credential, Endpoint as HttpEndpoint, Injection, InjectionSource, Login};
use banhbaoring_pipeline::json::tokens;
use serde_json::{Value, json};

use super::{Asking, ExchangeError, Message, Way, split};
use crate::cluster::Cluster;

/// Tokens that are kept. Beyond, all are dropped and fetched anew.
const MAX_TOKENS: usize = 4096;
/// The longest that a token is kept, whatever its lease.
const LONGEST_KEPT: Duration = Duration::from_secs(3600);

/// Who logged in where and how: a token is nobody else's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    owner: String,
    plugin: String,
    account: String,
    destination: String,
    login: String,
}

/// Tokens of logins.
#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<HashMap<TokenKey, (String, Instant)>>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    fn get(&self, key: &TokenKey) -> Option<String> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(key).filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone())
    }

    fn keep(&self, key: TokenKey, token: String, lease: Duration) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, (_, until)| now < *until);
        }
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        tokens.insert(key, (token, now + lease.min(LONGEST_KEPT).mul_f64(0.8)));
    }

    /// Forgets a token that was refused.
    pub(super) fn drop(&self, key: Option<&TokenKey>) {
        if let Some(key) = key {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
    }
}

impl Cluster {
    /// A value of a Secret in the owner's namespace as text, read as the plugin's account.
    pub(super) async fn secret_value(&self, asking: Asking<'_>, secret: &str, key: &str) -> Result<String, ExchangeError> {
        let found = self.secret_values(&asking.plugin.account, asking.namespace()?, secret).await?;
        let value = found.and_then(|mut values| values.remove(key));
        let value = value.ok_or_else(|| ExchangeError::Missing(format!("there is no key {key} in Secret {secret} yet")))?;
        String::from_utf8(value).map_err(|_| ExchangeError::Invalid(format!("the key {key} of Secret {secret} is not text")))
    }

    /// Puts values into `{"headers": …, "body": …}`; what they are is added to `secrets`.
    pub(super) async fn inject(
        &self,
        asking: Asking<'_>,
        injections: &[Injection],
        parts: &mut Value,
        secrets: &mut Vec<String>,
    ) -> Result<(), ExchangeError> {
        for injection in injections {
            let value = match &injection.from {
                InjectionSource::Secret(from) => self.secret_value(asking, &from.secret, &from.key).await?,
                InjectionSource::Token(from) => self.account_token(&asking.plugin.account, &from.audience).await?,
            };
            put(parts, &injection.pointer, json!(format!("{}{value}", injection.prefix)))?;
            secrets.push(value);
        }
        Ok(())
    }

    /// Puts the credential in. Returns the login whose token was taken, if one was.
    pub(super) async fn authorise(
        &self,
        asking: Asking<'_>,
        endpoint: &HttpEndpoint,
        way: &Way,
        parts: &mut Value,
        secrets: &mut Vec<String>,
    ) -> Result<Option<TokenKey>, ExchangeError> {
        let (header, prefix, value, key) = match &endpoint.credential {
            None => return Ok(None),
            Some(Credential::Secret(credential)) => {
                let value = self.secret_value(asking, &credential.from.secret, &credential.from.key).await?;
                (&credential.header, &credential.prefix, value, None)
            }
            Some(Credential::Login(login)) => {
                let key = TokenKey {
                    owner: asking.inventory.owner.uid.clone(),
                    plugin: format!("{}@{}", asking.plugin.name, asking.plugin.digest),
                    account: format!("{}/{}", asking.plugin.account.namespace, asking.plugin.account.name),
                    destination: format!("{:?} {} {} {:?}", way.scheme, way.name, way.port, endpoint.tls),
                    login: json!(login).to_string(),
                };
                let token = match self.exchanges.tokens.get(&key) {
                    Some(token) => token,
                    None => self.log_in(asking, login, way, &key).await?,
                };
                (&login.header, &login.prefix, token, Some(key))
            }
        };
        put(parts, &format!("/headers/{header}"), json!(format!("{prefix}{value}")))?;
        secrets.push(value);
        Ok(key)
    }

    async fn log_in(&self, asking: Asking<'_>, login: &Login, way: &Way, key: &TokenKey) -> Result<String, ExchangeError> {
        let mut parts = json!({"headers": {}, "body": login.body});
        let mut secrets = Vec::new();
        self.inject(asking, &login.inject, &mut parts, &mut secrets).await?;
        let (headers, body) = split(parts)?;
        let message = Message { method: login.method, path: &login.path, query: Vec::new(), headers, body };
        // A login changes nothing that matters to anybody: one that broke off is as good as one that was not sent.
        let reply = way.send(asking, message, true).await.map_err(|error| match error {
            ExchangeError::Broken(message) => ExchangeError::Unreachable(message),
            other => other,
        })?;
        if !(200..300).contains(&reply.status) {
            return Err(match reply.status {
                500.. | 429 => ExchangeError::Unreachable(format!("the login at {} was answered with {}", login.path, reply.status)),
                status => ExchangeError::Refused(format!("the login at {} was refused with {status}", login.path)),
            });
        }
        let token = reply.text(&login.token_pointer).ok_or_else(|| {
            ExchangeError::Invalid(format!("expected a token at {} in the answer to the login, found none", login.token_pointer))
        })?;
        if let Some(seconds) = login.lease_pointer.as_ref().and_then(|pointer| reply.number(pointer)) {
            self.exchanges.tokens.keep(key.clone(), token.to_owned(), Duration::from_secs(seconds));
        }
        Ok(token.to_owned())
    }
}

/// Sets a value whose parent is there.
fn put(parts: &mut Value, pointer: &str, value: Value) -> Result<(), ExchangeError> {
    let nowhere = || ExchangeError::Invalid(format!("{pointer} leads nowhere: its parent is not there, or neither an object nor a list"));
    let (parent, last) = pointer.rsplit_once('/').ok_or_else(nowhere)?;
    let key = tokens(&format!("/{last}")).and_then(|mut tokens| tokens.pop()).ok_or_else(nowhere)?;
    match parts.pointer_mut(parent).ok_or_else(nowhere)? {
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        Value::Array(items) => {
            *key.parse::<usize>().ok().and_then(|index| items.get_mut(index)).ok_or_else(nowhere)? = value;
        }
        // The request says that it has no body: the first value makes it one.
        empty @ Value::Null if parent == "/body" => *empty = json!({ key: value }),
        _ => return Err(nowhere()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_where_the_pointer_leads_and_nowhere_else() {
        let mut parts = json!({"headers": {}, "body": {"a": [1, 2]}});
        put(&mut parts, "/headers/X-Token", json!("t")).unwrap();
        put(&mut parts, "/body/pass~1word", json!("p")).unwrap();
        put(&mut parts, "/body/a/1", json!("q")).unwrap();
        assert_eq!(parts, json!({"headers": {"X-Token": "t"}, "body": {"a": [1, "q"], "pass/word": "p"}}));
        for pointer in ["/body/none/x", "/body/a/7", "/body/a/x", "", "/body/pass~1word/x"] {
            assert!(put(&mut parts, pointer, json!("z")).is_err(), "{pointer}");
        }
        let mut empty = json!({"headers": {}, "body": null});
        put(&mut empty, "/body/jwt", json!("j")).unwrap();
        assert_eq!(empty["body"], json!({"jwt": "j"}));
    }
}
