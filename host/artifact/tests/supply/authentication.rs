//! Registries that want to know who asks: basic authentication and tokens.

use banhbaoring_artifact::*;
use banhbaoring_testing::proxy::Proxy;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::*;

fn dockerconfigjson(registry: &str, user: &str, password: &str) -> Credentials {
    let auth = STANDARD.encode(format!("{user}:{password}"));
    Credentials::from_dockerconfigjson(format!(r#"{{"auths":{{"{registry}":{{"auth":"{auth}"}}}}}}"#).as_bytes()).unwrap()
}

#[tokio::test]
async fn basic_authentication_works_and_its_absence_or_error_is_told_as_unauthorized() {
    let registry = Registry::with_user("user", "pass:word").await;
    let key = SigningKey::generate();
    let known = source_as(&registry.address, "plugin", &dockerconfigjson(&registry.address, "user", "pass:word"));
    let digest = push_component(&known, "p", "1").await;
    sign_with(&known, &digest, &key).await;
    let trusted = enforce(vec![authority("us", &key)]);
    accept(&known, &digest, &trusted).await.unwrap();

    let legacy = format!(r#"{{"http://{}":{{"username":"user","password":"pass:word"}}}}"#, registry.address);
    let legacy = Credentials::from_dockercfg(legacy.as_bytes()).unwrap();
    accept(&source_as(&registry.address, "plugin", &legacy), &digest, &trusted).await.unwrap();

    let (reason, error) = refused(&source(&registry.address, "plugin"), &digest, &trusted).await;
    assert_eq!(reason, "RegistryUnauthorized");
    assert!(error.to_string().contains("no pull secret covers"), "{error}");
    let wrong = source_as(&registry.address, "plugin", &dockerconfigjson(&registry.address, "user", "wrong"));
    let (reason, error) = refused(&wrong, &digest, &trusted).await;
    assert_eq!(reason, "RegistryUnauthorized");
    assert!(error.to_string().contains("renew them"), "{error}");
}

/// A registry behind a token server, both on one address: tokens are `token-<actions>`.
async fn token_registry(upstream: &str, token_answer: impl Fn(&str) -> Option<Misbehaviour> + Send + Sync + 'static) -> Proxy {
    misbehaving(upstream, move |asked| {
        let json = vec![("content-type", "application/json".to_owned())];
        if asked.path.starts_with("/token") {
            if let Some(misbehaviour) = token_answer(&asked.path) {
                return Some(misbehaviour);
            }
            let expected = format!("Basic {}", STANDARD.encode("user:password"));
            if asked.authorization.as_deref() != Some(&expected) {
                return Some(Misbehaviour::Status(401));
            }
            let push = asked.path.contains("push");
            let token = if push { "token-push" } else { "token-pull" };
            return Some(Misbehaviour::Answer(200, json, format!(r#"{{"token":"{token}"}}"#).into_bytes()));
        }
        let enough: &[&str] = if matches!(asked.method.as_str(), "GET" | "HEAD") {
            &["Bearer token-pull", "Bearer token-push"]
        } else {
            &["Bearer token-push"]
        };
        if asked.authorization.as_deref().is_some_and(|given| enough.contains(&given)) {
            return None;
        }
        let realm = format!("http://{}/token", asked.host);
        let challenge = format!(r#"Bearer realm="{realm}",service="the registry",scope="repository:plugin:pull""#);
        Some(Misbehaviour::Answer(401, vec![("www-authenticate", challenge)], Vec::new()))
    })
    .await
}

#[tokio::test]
async fn tokens_are_fetched_once_per_scope_and_used_for_everything() {
    let registry = Registry::distribution().await;
    let key = SigningKey::generate();
    let unguarded = source(&registry.address, "plugin");
    let digest = push_component(&unguarded, "p", "1").await;
    let proxy = token_registry(&registry.address, |_| None).await;
    let known = source_as(&proxy.address, "plugin", &dockerconfigjson(&proxy.address, "user", "password"));
    sign_with(&known, &digest, &key).await;
    let trusted = enforce(vec![authority("us", &key)]);
    accept(&known, &digest, &trusted).await.unwrap();
    accept(&known, &digest, &trusted).await.unwrap();
    let asked: Vec<_> = proxy.asked("/token").into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked.iter().all(|path| path.contains("service=the+registry") && path.contains("scope=repository%3Aplugin%3Apull")),
        "{asked:?}"
    );
    assert!(
        proxy.asked("/v2/").iter().all(|asked| !asked.authorization.as_deref().unwrap_or_default().starts_with("Basic")),
        "the password went to the registry"
    );

    let (reason, _) = refused(&source(&proxy.address, "plugin"), &digest, &trusted).await;
    assert_eq!(reason, "RegistryUnauthorized");
}

#[tokio::test]
async fn a_token_server_that_fails_is_not_taken_for_wrong_credentials() {
    let registry = Registry::distribution().await;
    let digest = push_component(&source(&registry.address, "plugin"), "p", "1").await;
    let trusted = enforce(vec![authority("us", &SigningKey::generate())]);
    for (status, reason) in
        [(429, "RegistryThrottled"), (503, "RegistryUnavailable"), (403, "RegistryForbidden"), (401, "RegistryUnauthorized")]
    {
        let proxy = token_registry(&registry.address, move |_| Some(Misbehaviour::Status(status))).await;
        let known = source_as(&proxy.address, "plugin", &dockerconfigjson(&proxy.address, "user", "password"));
        assert_eq!(refused(&known, &digest, &trusted).await.0, reason, "{status}");
    }
    let endless = token_registry(&registry.address, |_| Some(Misbehaviour::Endless)).await;
    let known = source_as(&endless.address, "plugin", &dockerconfigjson(&endless.address, "user", "password"));
    assert_eq!(refused(&known, &digest, &trusted).await.0, "ArtifactTooLarge");
}

#[tokio::test]
async fn a_token_that_ran_out_is_renewed() {
    let registry = Registry::distribution().await;
    let key = SigningKey::generate();
    let unguarded = source(&registry.address, "plugin");
    let digest = push_component(&unguarded, "p", "1").await;
    sign_with(&unguarded, &digest, &key).await;
    let granted = std::sync::atomic::AtomicUsize::new(0);
    let proxy = misbehaving(&registry.address, move |asked| {
        use std::sync::atomic::Ordering;
        if asked.path.starts_with("/token") {
            let next = granted.fetch_add(1, Ordering::SeqCst) + 1;
            return Some(Misbehaviour::Answer(200, Vec::new(), format!(r#"{{"access_token":"t{next}"}}"#).into_bytes()));
        }
        // Every token is good for the manifest or for the blobs, not for both.
        let current = format!("Bearer t{}", granted.load(Ordering::SeqCst));
        let stale = asked.path.contains("/blobs/") && granted.load(Ordering::SeqCst) < 2;
        (asked.authorization.as_deref() != Some(&current) || stale).then(|| {
            let challenge = format!(r#"Bearer realm="http://{}/token""#, asked.host);
            Misbehaviour::Answer(401, vec![("www-authenticate", challenge)], Vec::new())
        })
    })
    .await;
    accept(&source(&proxy.address, "plugin"), &digest, &enforce(vec![authority("us", &key)])).await.unwrap();
    assert_eq!(proxy.asked("/token").len(), 2);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_and_goes_nowhere_else() {
    let registry = Registry::distribution().await;
    let key = SigningKey::generate();
    let unguarded = source(&registry.address, "plugin");
    let digest = push_component(&unguarded, "p", "1").await;
    sign_with(&unguarded, &digest, &key).await;
    let proxy = misbehaving(&registry.address, |asked| {
        if asked.path == "/token" && asked.method == "POST" {
            let form = String::from_utf8(asked.body.to_vec()).unwrap();
            let good = form.contains("grant_type=refresh_token") && form.contains("refresh_token=s3cret%2Btoken");
            let answer = br#"{"access_token":"granted"}"#.to_vec();
            return Some(if good { Misbehaviour::Answer(200, Vec::new(), answer) } else { Misbehaviour::Status(400) });
        }
        (asked.authorization.as_deref() != Some("Bearer granted")).then(|| {
            let challenge = format!(r#"Bearer realm="http://{}/token",service="s""#, asked.host);
            Misbehaviour::Answer(401, vec![("www-authenticate", challenge)], Vec::new())
        })
    })
    .await;
    let file = format!(r#"{{"auths":{{"{}":{{"identitytoken":"s3cret+token"}}}}}}"#, proxy.address);
    let credentials = Credentials::from_dockerconfigjson(file.as_bytes()).unwrap();
    let known = source_as(&proxy.address, "plugin", &credentials);
    accept(&known, &digest, &enforce(vec![authority("us", &key)])).await.unwrap();
    assert!(proxy.asked("/v2/").iter().all(|asked| !asked.authorization.as_deref().unwrap_or_default().contains("s3cret")));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let registry = Registry::distribution().await;
    let elsewhere = misbehaving(&registry.address, |_| None).await;
    let target = elsewhere.address.clone();
    let proxy = misbehaving(&registry.address, move |asked| {
        if asked.authorization.is_none() {
            let challenge = ("www-authenticate", "Basic realm=\"r\"".to_owned());
            return Some(Misbehaviour::Answer(401, vec![challenge], Vec::new()));
        }
        let location = ("location", format!("http://{target}{}", asked.path));
        Some(Misbehaviour::Answer(307, vec![location], Vec::new()))
    })
    .await;
    let repository: Repository = format!("oci://{}/plugin", proxy.address).parse().unwrap();
    let credentials = Credentials::basic(&proxy.address, "user", "password");
    let source = Source::registry(&repository, &credentials, &options()).unwrap();
    source.resolve(&Selector::Tag(tag("1"))).await.unwrap_err();
    assert!(elsewhere.asked("").iter().all(|asked| asked.authorization.is_none()));
}
