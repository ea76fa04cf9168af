//! What goes wrong between us and the registry: each with a reason of its own, none taken for another.

use banhbaoring_artifact::*;

use crate::support::*;

struct Signed {
    registry: Registry,
    digest: Digest,
    trusted: Vec<Requirement>,
    key: SigningKey,
}

async fn signed() -> Signed {
    let registry = Registry::distribution().await;
    let source = source(&registry.address, "plugin");
    let key = SigningKey::generate();
    let digest = push_component(&source, "p", "1").await;
    sign_with(&source, &digest, &key).await;
    Signed { registry, digest, trusted: enforce(vec![authority("us", &key)]), key }
}

#[tokio::test]
async fn each_failure_of_the_registry_has_its_own_reason() {
    let signed = signed().await;
    let table = [
        (401, "RegistryUnauthorized", false),
        (403, "RegistryForbidden", false),
        (429, "RegistryThrottled", true),
        (500, "RegistryUnavailable", true),
        (503, "RegistryUnavailable", true),
        (418, "RegistryMalformedAnswer", false),
    ];
    for part in ["/manifests/sha256:", "/blobs/", "/referrers/"] {
        for (status, reason, transient) in table {
            let proxy =
                misbehaving(&signed.registry.address, move |asked| asked.path.contains(part).then_some(Misbehaviour::Status(status))).await;
            let source = source(&proxy.address, "plugin");
            let (found, error) = refused(&source, &signed.digest, &signed.trusted).await;
            assert_eq!((found, error.is_transient()), (reason, transient), "{status} on {part}: {error}");
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_told_as_not_found() {
    let signed = signed().await;
    let source = source(&signed.registry.address, "plugin");
    let missing = source.resolve(&Selector::Tag(tag("missing"))).await.unwrap_err();
    assert_eq!(missing.reason(), "ArtifactNotFound");
    let (reason, _) = refused(&source, &Digest::of(b"nothing"), &signed.trusted).await;
    assert_eq!(reason, "ArtifactNotFound");
    let elsewhere = crate::support::source(&signed.registry.address, "no/such/repository");
    assert_eq!(elsewhere.resolve(&Selector::Tag(tag("1"))).await.unwrap_err().reason(), "ArtifactNotFound");
}

#[tokio::test]
async fn transient_failures_are_tried_again_and_then_succeed() {
    let signed = signed().await;
    for status in [429, 500, 502] {
        let proxy = misbehaving(&signed.registry.address, move |asked| {
            (asked.before < 2).then_some(Misbehaviour::Answer(status, vec![("retry-after", "0".to_owned())], Vec::new()))
        })
        .await;
        accept(&source(&proxy.address, "plugin"), &signed.digest, &signed.trusted).await.unwrap();
    }
}

#[tokio::test]
async fn a_tampered_layer_manifest_or_config_is_refused_as_digest_mismatch() {
    let signed = signed().await;
    let layer = Digest::of(&component("p")).to_string();
    let artifact = signed.digest.to_string();
    for (what, path) in
        [("layer", format!("/blobs/{layer}")), ("manifest", format!("/manifests/{artifact}")), ("blobs", "/blobs/".to_owned())]
    {
        let proxy = misbehaving(&signed.registry.address, move |asked| asked.path.contains(&path).then_some(Misbehaviour::Tamper)).await;
        let (reason, error) = refused(&source(&proxy.address, "plugin"), &signed.digest, &signed.trusted).await;
        assert_eq!(reason, "DigestMismatch", "{what}: {error}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_between_verify_and_pull_changes_nothing() {
    let signed = signed().await;
    let source = source(&signed.registry.address, "plugin");
    let digest = source.resolve(&Selector::Tag(tag("1"))).await.unwrap();
    let verified = Artifact::fetch(&source, &digest, Limits::default()).await.unwrap().verify(&signed.trusted).await.unwrap();

    let evil = push_component(&source, "evil", "1").await;
    assert_eq!(source.resolve(&Selector::Tag(tag("1"))).await.unwrap(), evil);

    let pulled = verified.pull().await.unwrap();
    assert_eq!(pulled.bytes(), component("p"));
    assert_eq!(pulled.artifact(), signed.digest);
    assert_eq!(refused(&source, &evil, &signed.trusted).await.0, "Unsigned");
}

#[tokio::test]
async fn answers_without_end_are_cut_off() {
    let signed = signed().await;
    let layer = Digest::of(&component("p")).to_string();
    for path in ["/manifests/sha256:".to_owned(), "/blobs/".to_owned(), format!("/blobs/{layer}")] {
        let proxy = misbehaving(&signed.registry.address, move |asked| asked.path.contains(&path).then_some(Misbehaviour::Endless)).await;
        let (reason, error) = refused(&source(&proxy.address, "plugin"), &signed.digest, &signed.trusted).await;
        assert_eq!(reason, "ArtifactTooLarge", "{error}");
    }
    let lists = misbehaving(&signed.registry.address, |asked| asked.path.contains("/tags/list").then_some(Misbehaviour::Endless)).await;
    assert_eq!(source(&lists.address, "plugin").tags().await.unwrap_err().reason(), "ArtifactTooLarge");
}

#[tokio::test]
async fn a_registry_that_hides_its_digest_header_or_has_no_head_is_resolved_by_content() {
    let signed = signed().await;
    let proxy =
        misbehaving(&signed.registry.address, |asked| (asked.method == "HEAD").then(|| Misbehaviour::Answer(200, Vec::new(), Vec::new())))
            .await;
    assert_eq!(source(&proxy.address, "plugin").resolve(&Selector::Tag(tag("1"))).await.unwrap(), signed.digest);
    let no_head = misbehaving(&signed.registry.address, |asked| (asked.method == "HEAD").then_some(Misbehaviour::Status(405))).await;
    assert_eq!(source(&no_head.address, "plugin").resolve(&Selector::Tag(tag("1"))).await.unwrap(), signed.digest);
}

#[tokio::test]
async fn plain_http_is_for_loopback_and_by_opt_in_only() {
    let elsewhere: Repository = "oci://registry.example.com/plugin".parse().unwrap();
    let refused = Source::registry(&elsewhere, &Credentials::anonymous(), &options()).unwrap_err();
    assert_eq!(refused.reason(), "PlainHttpRefused");

    let signed = signed().await;
    let here: Repository = format!("oci://{}/plugin", signed.registry.address).parse().unwrap();
    let https = RegistryOptions { transport: Transport::Https, ..options() };
    let source = Source::registry(&here, &Credentials::anonymous(), &https).unwrap();
    assert_eq!(source.resolve(&Selector::Tag(tag("1"))).await.unwrap_err().reason(), "RegistryUnreachable");
}

#[tokio::test]
async fn a_redirect_to_another_plain_http_host_is_not_followed() {
    let signed = signed().await;
    let elsewhere = misbehaving(&signed.registry.address, |_| None).await;
    let target = elsewhere.address.clone();
    let proxy = misbehaving(&signed.registry.address, move |asked| {
        let location = ("location", format!("http://{target}{}", asked.path));
        asked.path.contains("/blobs/").then(|| Misbehaviour::Answer(307, vec![location], Vec::new()))
    })
    .await;
    refused(&source(&proxy.address, "plugin"), &signed.digest, &signed.trusted).await;
    assert!(elsewhere.asked("").is_empty());
}

#[tokio::test]
async fn a_range_takes_the_highest_version_of_all_pages_of_tags() {
    let signed = signed().await;
    let source = source(&signed.registry.address, "plugin");
    for version in ["1.2.0", "1.10.0", "1.9.0", "2.0.0"] {
        push_component(&source, version, version).await;
    }
    let range = Selector::from_fields(None, Some("1.x"), None).unwrap();
    let expected = source.resolve(&Selector::Tag(tag("1.10.0"))).await.unwrap();
    assert_eq!(source.resolve(&range).await.unwrap(), expected);

    // The registry gives two tags at a time.
    let paged = misbehaving(&signed.registry.address, |asked| {
        let link = |next: &str| ("link", format!("</v2/plugin/tags/list?last={next}>; rel=\"next\""));
        let page = |tags: &str| format!(r#"{{"name":"plugin","tags":[{tags}]}}"#).into_bytes();
        match asked.path.as_str() {
            "/v2/plugin/tags/list?n=1000" => Some(Misbehaviour::Answer(200, vec![link("1")], page(r#""1.2.0","1.9.0""#))),
            "/v2/plugin/tags/list?last=1" => Some(Misbehaviour::Answer(200, Vec::new(), page(r#""1.10.0","2.0.0""#))),
            _ => None,
        }
    })
    .await;
    assert_eq!(crate::support::source(&paged.address, "plugin").resolve(&range).await.unwrap(), expected);

    let none = Selector::from_fields(None, Some(">=9"), None).unwrap();
    assert_eq!(source.resolve(&none).await.unwrap_err().reason(), "NoMatchingVersion");
}

#[tokio::test]
async fn no_error_shows_a_password() {
    let signed = signed().await;
    let proxy = misbehaving(&signed.registry.address, |_| Some(Misbehaviour::Status(401))).await;
    let credentials = Credentials::basic(&proxy.address, "user", "hunter2");
    let source = source_as(&proxy.address, "plugin", &credentials);
    let (_, error) = refused(&source, &signed.digest, &signed.trusted).await;
    let shown = format!("{error} {error:?} {source:?} {:?}", signed.key);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_registry_with_a_private_certificate_is_trusted_only_with_its_root() {
    let registry = Registry::with_tls().await;
    let repository: Repository = format!("oci://{}/plugin", registry.address).parse().unwrap();
    let with_roots = |extra_roots| {
        let options = RegistryOptions { transport: Transport::Https, extra_roots, ..options() };
        Source::registry(&repository, &Credentials::anonymous(), &options)
    };
    let trusting = with_roots(vec![registry.authority().as_bytes().to_vec()]).unwrap();
    let digest = push_component(&trusting, "p", "1").await;
    assert_eq!(trusting.resolve(&Selector::Tag(tag("1"))).await.unwrap(), digest);

    let stranger = with_roots(Vec::new()).unwrap();
    let error = stranger.resolve(&Selector::Tag(tag("1"))).await.unwrap_err();
    assert_eq!(error.reason(), "RegistryUnreachable");
    assert!(error.to_string().contains("certificate"), "{error}");
    let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    assert_eq!(with_roots(vec![junk]).unwrap_err().reason(), "InvalidRegistryOptions");
}

#[tokio::test]
async fn what_a_registry_writes_into_an_answer_is_cut_short_in_the_error() {
    let signed = signed().await;
    let proxy = misbehaving(&signed.registry.address, |asked| {
        let shout = format!(r#"{{"tags":"{}"}}"#, "A".repeat(500_000)).into_bytes();
        asked.path.contains("/tags/list").then(|| Misbehaviour::Answer(200, Vec::new(), shout))
    })
    .await;
    let error = source(&proxy.address, "plugin").tags().await.unwrap_err();
    assert_eq!(error.reason(), "RegistryMalformedAnswer");
    assert!(error.to_string().len() < 1000, "{} characters", error.to_string().len());
}
