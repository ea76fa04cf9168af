//! Answering a registry's challenge: basic authentication and the token exchange of the distribution specification.
//!
//! Holds what was obtained for as long as the registry takes it; a 401 throws it away and asks again once.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::SourceError;
use super::http::{Answer, Http, Request};
use crate::credentials::Credential;

const MAX_TOKEN_ANSWER: u64 = 64 << 10;

/// What a token must allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    Pull,
    Push,
}

/// The `Authorization` header per scope, obtained when first challenged.
pub(super) struct Auth {
    credential: Credential,
    path: String,
    granted: Mutex<HashMap<Scope, String>>,
}

enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Auth {
    pub(super) fn new(credential: Credential, path: &str) -> Self {
        Self { credential, path: path.to_owned(), granted: Mutex::new(HashMap::new()) }
    }

    /// Sends the request, answering a challenge once. A 401 that stays is `Unauthorized`.
    pub(super) async fn send(&self, http: &Http, request: Request, scope: Scope) -> Result<Answer, SourceError> {
        if !http.is_own(&request.url) {
            // An upload may be continued elsewhere; our credentials stay at home.
            return self.refuse_401(http, http.exchange(request, None).await?);
        }
        let held = self.granted.lock().await.get(&scope).cloned();
        let answer = http.exchange(request.clone(), held.as_deref()).await?;
        if answer.status != reqwest::StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(challenge) = strongest_challenge(&answer.headers) else {
            return Err(self.unauthorized(http));
        };
        let Some(authorization) = self.answer(http, challenge, scope).await? else {
            return Err(self.unauthorized(http));
        };
        let answer = self.refuse_401(http, http.exchange(request, Some(&authorization)).await?)?;
        self.granted.lock().await.insert(scope, authorization);
        Ok(answer)
    }

    fn refuse_401(&self, http: &Http, answer: Answer) -> Result<Answer, SourceError> {
        if answer.status == reqwest::StatusCode::UNAUTHORIZED { Err(self.unauthorized(http)) } else { Ok(answer) }
    }

    fn unauthorized(&self, http: &Http) -> SourceError {
        SourceError::Unauthorized { registry: http.registry().to_owned(), anonymous: self.credential == Credential::Anonymous }
    }

    async fn answer(&self, http: &Http, challenge: Challenge, scope: Scope) -> Result<Option<String>, SourceError> {
        match (challenge, &self.credential) {
            (_, Credential::RegistryToken(token)) => Ok(Some(format!("Bearer {token}"))),
            (Challenge::Basic, Credential::Basic { username, password }) => Ok(Some(basic(username, password))),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service }, _) => self.token(http, &realm, service.as_deref(), scope).await,
        }
    }

    async fn token(&self, http: &Http, realm: &str, service: Option<&str>, scope: Scope) -> Result<Option<String>, SourceError> {
        let mut url = Url::parse(realm).map_err(|error| http.malformed("the token realm", error.to_string()))?;
        if url.scheme() != "https" && !http.is_plain() {
            return Err(http.malformed("the token realm", "it is not https, and a password would go there"));
        }
        let actions = match scope {
            Scope::Pull => "pull",
            Scope::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.path);
        let (request, authorization) = if let Credential::IdentityToken(refresh) = &self.credential {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh);
            form.append_pair("client_id", "banhbaoring").append_pair("scope", &scope);
            if let Some(service) = service {
                form.append_pair("service", service);
            }
            let mut request = Request::new(Method::POST, url, MAX_TOKEN_ANSWER, "a token");
            request.content_type = Some("application/x-www-form-urlencoded".to_owned());
            request.body = Some(form.finish().into_bytes());
            (request, None)
        } else {
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            url.query_pairs_mut().append_pair("scope", &scope);
            let authorization = match &self.credential {
                Credential::Basic { username, password } => Some(basic(username, password)),
                _ => None,
            };
            (Request::new(Method::GET, url, MAX_TOKEN_ANSWER, "a token"), authorization)
        };
        let answer = http.exchange(request, authorization.as_deref()).await?;
        if !answer.status.is_success() {
            return Ok(None);
        }
        #[derive(Deserialize)]
        struct Granted {
            #[serde(default)]
            token: String,
            #[serde(default)]
            access_token: String,
        }
        // serde's message may quote the token.
        let granted: Granted =
            serde_json::from_slice(&answer.body).map_err(|_| http.malformed("the token server's answer", "it is not JSON with a token"))?;
        let token = if granted.token.is_empty() { granted.access_token } else { granted.token };
        if token.is_empty() {
            return Err(http.malformed("the token server's answer", "it has no token"));
        }
        Ok(Some(format!("Bearer {token}")))
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Bearer before Basic, because a registry that offers both wants tokens.
fn strongest_challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = false;
    for value in headers.get_all(WWW_AUTHENTICATE).iter().take(8) {
        let Ok(text) = value.to_str() else { continue };
        for challenge in http_auth::parse_challenges(text).unwrap_or_default() {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = true;
            } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if let Some(realm) = parameter("realm") {
                    return Some(Challenge::Bearer { realm, service: parameter("service") });
                }
            }
        }
    }
    basic.then_some(Challenge::Basic)
}
