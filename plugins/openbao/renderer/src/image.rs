//! Which image nodes run: as it is named, or pinned to the digest that the right key signed. A pure function of the spec, of what the host found out, and
//! of what was told before; how signatures are checked is the host's.
//!
//! ```text
//! not asked for ────────────────────────────────▶ as it is named
//! the StatefulSet has the digest that was told ─▶ pinned, nobody is asked         (a registry that is down changes nothing)
//! the host answers ─ signed ────────────────────▶ pinned, and told
//!                  ├ refused or not known, Warn ▶ as it is named
//!                  └ refused or not known, Block▶ nothing is changed
//! not answered yet ─────────────────────────────▶ nothing is changed
//! ```
//!
//! What was told is believed only where the StatefulSet has it: a status is written more easily than a signature. Otherwise that very digest is asked about
//! again, and not the tag, which may have moved.

use banhbaoring_openbao_api::{ImageStatus, ImageVerificationPolicy, ImageVerificationSpec};
use banhbaoring_sdk::Need;
use banhbaoring_sdk::answer::Answer;
use banhbaoring_sdk::contract::http::TrustRoot;
use banhbaoring_sdk::contract::need::{self, ImageVerification, ImageView, KeylessIdentity};
use banhbaoring_sdk::contract::reference::ConfigMapKeyRef;
use banhbaoring_sdk::wit::OutcomeError;
use serde_json::json;

use crate::digest;

/// Seconds between looks while an image is not verified.
const AGAIN: u32 = 60;

/// Reason of the condition where the image is signed as it should be.
pub const VERIFIED: &str = "Verified";
/// Reason while nothing is known yet.
pub const PENDING: &str = "Verifying";

/// What is asked, and under which id: an answer to another question must not be taken for the answer to this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Id of the need.
    pub id: String,
    need: need::Image,
    reference: String,
    requirement: String,
    pinned: Option<ImageStatus>,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What nodes run; absent: nothing may be changed.
    pub name: Option<String>,
    /// What was found out.
    pub told: Option<ImageStatus>,
    /// The verdict; absent where nobody asked for one.
    pub verdict: Option<Verdict>,
    /// Ask, or go on asking.
    pub asks: bool,
}

/// The condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It is signed as it should be; absent: not known yet.
    pub holds: Option<bool>,
    /// CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Question {
    /// The question about the image of that name; absent where nobody asked for it. `told` is what was told before.
    pub fn new(
        spec: &ImageVerificationSpec,
        reference: &str,
        pull_secrets: Vec<String>,
        insecure: bool,
        told: Option<ImageStatus>,
    ) -> Self {
        let public_key = spec.public_key.as_ref().map(|key| key.trim().to_owned());
        let keyless = spec.keyless.as_ref().map(|keyless| KeylessIdentity {
            issuer: keyless.issuer.clone(),
            subject: keyless.subject.clone(),
            trusted_root: Some(TrustRoot::ConfigMap(ConfigMapKeyRef {
                config_map: keyless.trusted_root.config_map_name.clone(),
                key: keyless.trusted_root.key.clone(),
            })),
        });
        let verify = ImageVerification { public_key, keyless, ignore_transparency_log: false };
        let requirement = digest::hex(&banhbaoring_sdk::json::canonical(&json!(verify)));
        let pinned = told.filter(|told| told.reference == reference && told.requirement == requirement);
        let asked = pinned.as_ref().map_or_else(|| reference.to_owned(), pin);
        let id = format!("image-{}", &digest::hex(&format!("{requirement} {asked}"))[..16]);
        let need = need::Image { reference: asked, verify: Some(verify), pull_secrets, insecure };
        Self { id, need, reference: reference.to_owned(), requirement, pinned }
    }

    /// The need.
    pub fn need(&self) -> Need {
        Need::poll(&self.id, AGAIN, &self.need)
    }

    /// Decides. `running` is the image that the StatefulSet has.
    pub fn decide(&self, policy: ImageVerificationPolicy, answer: Answer<ImageView>, running: Option<&str>) -> Image {
        if let Some(pinned) = &self.pinned
            && running == Some(pin(pinned).as_str())
        {
            return verified(pinned.clone(), false);
        }
        match answer {
            Answer::Known(view) => verified(
                ImageStatus {
                    reference: self.reference.clone(),
                    digest: view.digest,
                    signer: view.signer,
                    requirement: self.requirement.clone(),
                },
                true,
            ),
            Answer::Error(error) => {
                let (reason, what) = worded(&error);
                let consequence = match policy {
                    ImageVerificationPolicy::Block => {
                        "nothing is changed until it is verified; nodes that run go on as they are (spec.imageVerification.policy: Block)"
                    }
                    ImageVerificationPolicy::Warn => "it runs all the same (spec.imageVerification.policy: Warn)",
                };
                let message = format!("{} {what}: {}; {consequence}", self.need.reference, error.message);
                Image {
                    name: (policy == ImageVerificationPolicy::Warn).then(|| self.reference.clone()),
                    told: self.pinned.clone(),
                    verdict: Some(Verdict { holds: Some(false), reason, message }),
                    asks: true,
                }
            }
            Answer::Unasked | Answer::Pending => Image {
                name: None,
                told: self.pinned.clone(),
                verdict: Some(Verdict { holds: None, reason: PENDING, message: format!("asking who signed {}", self.need.reference) }),
                asks: true,
            },
        }
    }
}

impl Image {
    /// Nobody asked for a verdict.
    pub fn as_named(name: String) -> Self {
        Self { name: Some(name), told: None, verdict: None, asks: false }
    }
}

/// The name that nodes are given: the tag stays for people, the digest is what counts.
fn pin(status: &ImageStatus) -> String {
    let named = status.reference.split_once('@').map_or(status.reference.as_str(), |(name, _)| name);
    format!("{named}@{}", status.digest)
}

fn verified(status: ImageStatus, asks: bool) -> Image {
    let message = format!("{} is signed by {}", pin(&status), status.signer.as_deref().unwrap_or("who has to"));
    Image { name: Some(pin(&status)), told: Some(status), verdict: Some(Verdict { holds: Some(true), reason: VERIFIED, message }), asks }
}

fn worded(error: &OutcomeError) -> (&'static str, &'static str) {
    match error.class.as_str() {
        "untrusted" => ("ImageUntrusted", "is not signed as it should be"),
        "not-found" => ("ImageNotFound", "is not there"),
        "not-permitted" => ("RegistryRefused", "may not be read"),
        "unavailable" | "timeout" => ("RegistryUnavailable", "cannot be asked about"),
        _ => ("ImageNotVerified", "could not be verified"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banhbaoring_openbao_api::{KeylessSpec, TrustedRootKey};

    const TAG: &str = "quay.io/openbao/openbao:2.4.0";
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n";

    fn spec(key: &str) -> ImageVerificationSpec {
        ImageVerificationSpec { enabled: true, policy: ImageVerificationPolicy::Block, public_key: Some(key.to_owned()), keyless: None }
    }

    fn question(key: &str, reference: &str, told: Option<&ImageStatus>) -> Question {
        Question::new(&spec(key), reference, Vec::new(), false, told.cloned())
    }

    fn signed(digest: &str) -> Answer<ImageView> {
        Answer::Known(ImageView { digest: format!("sha256:{}", digest.repeat(64)), signer: Some("key sha256:1".to_owned()) })
    }

    fn error(class: &str) -> Answer<ImageView> {
        Answer::Error(OutcomeError { class: class.to_owned(), message: "why".to_owned() })
    }

    fn told() -> ImageStatus {
        question(KEY, TAG, None).decide(ImageVerificationPolicy::Block, signed("a"), None).told.unwrap()
    }

    const POLICIES: [ImageVerificationPolicy; 2] = [ImageVerificationPolicy::Block, ImageVerificationPolicy::Warn];

    #[test]
    fn nothing_runs_before_the_answer_whatever_the_policy() {
        for policy in POLICIES {
            for answer in [Answer::Unasked, Answer::Pending] {
                let image = question(KEY, TAG, None).decide(policy, answer, None);
                assert_eq!((image.name, image.verdict.unwrap().holds, image.asks), (None, None, true));
            }
        }
    }

    #[test]
    fn what_was_verified_is_pinned_and_the_tag_is_kept_for_people() {
        for policy in POLICIES {
            let image = question(KEY, TAG, None).decide(policy, signed("a"), None);
            assert_eq!(image.name.as_deref(), Some(format!("{TAG}@sha256:{}", "a".repeat(64)).as_str()));
            assert_eq!(image.verdict.unwrap().holds, Some(true));
        }
        let pinned = format!("quay.io/openbao/openbao@sha256:{}", "a".repeat(64));
        let image = question(KEY, &pinned, None).decide(ImageVerificationPolicy::Block, signed("a"), None);
        assert_eq!(image.name, Some(pinned), "one that names its digest stays as it is");
    }

    #[test]
    fn what_is_not_signed_runs_with_warn_and_not_with_block() {
        for (class, reason) in [("untrusted", "ImageUntrusted"), ("unavailable", "RegistryUnavailable"), ("new", "ImageNotVerified")] {
            let blocked = question(KEY, TAG, None).decide(ImageVerificationPolicy::Block, error(class), None);
            assert_eq!((blocked.name, blocked.verdict.unwrap().reason), (None, reason));
            let warned = question(KEY, TAG, None).decide(ImageVerificationPolicy::Warn, error(class), None);
            assert_eq!((warned.name.as_deref(), warned.verdict.unwrap().holds), (Some(TAG), Some(false)));
        }
    }

    #[test]
    fn a_pinned_image_that_runs_needs_no_registry_and_follows_no_tag() {
        let told = told();
        let running = pin(&told);
        for answer in [Answer::Unasked, Answer::Pending, error("unavailable"), error("untrusted"), signed("b")] {
            let image = question(KEY, TAG, Some(&told)).decide(ImageVerificationPolicy::Block, answer, Some(&running));
            assert_eq!((image.name.as_deref(), image.asks), (Some(running.as_str()), false));
        }
    }

    #[test]
    fn a_status_alone_runs_nothing_and_its_digest_is_asked_about_and_not_the_tag() {
        let forged = ImageStatus { digest: format!("sha256:{}", "f".repeat(64)), ..told() };
        let question = question(KEY, TAG, Some(&forged));
        assert_eq!(question.need.reference, pin(&forged));
        for running in [None, Some(TAG), Some(pin(&told())).as_deref()] {
            assert_eq!(question.decide(ImageVerificationPolicy::Block, Answer::Pending, running).name, None);
            assert_eq!(question.decide(ImageVerificationPolicy::Block, error("untrusted"), running).name, None);
        }
    }

    #[test]
    fn an_identity_is_asked_about_with_the_root_that_its_spec_names() {
        let keyless = |subject: &str| {
            let trusted_root = TrustedRootKey { config_map_name: "sigstore".to_owned(), key: "trusted_root.json".to_owned() };
            let keyless = KeylessSpec { issuer: "https://issuer".to_owned(), subject: subject.to_owned(), trusted_root };
            let spec = ImageVerificationSpec { keyless: Some(keyless), public_key: None, ..spec(KEY) };
            Question::new(&spec, TAG, Vec::new(), false, None)
        };
        let asked = json!(keyless("ci").need);
        let root = json!({"configMap": {"configMap": "sigstore", "key": "trusted_root.json"}});
        assert_eq!(asked["verify"]["keyless"], json!({"issuer": "https://issuer", "subject": "ci", "trustedRoot": root}));
        assert!(asked["verify"].get("publicKey").is_none());
        assert_ne!(keyless("ci").id, keyless("somebody").id);
    }

    #[test]
    fn another_key_or_another_name_asks_anew_under_another_id() {
        let told = told();
        let asked = question(KEY, TAG, None);
        for (key, reference) in [(KEY, "quay.io/openbao/openbao:2.4.1"), ("-----BEGIN PUBLIC KEY-----\nother", TAG)] {
            let other = question(key, reference, Some(&told));
            assert_ne!(other.id, asked.id);
            assert_eq!(other.need.reference, reference, "resolved anew");
            assert_eq!(other.decide(ImageVerificationPolicy::Block, Answer::Unasked, Some(&pin(&told))).name, None);
        }
        assert_eq!(question(&format!("\n{KEY}\n"), TAG, None).id, asked.id);
    }
}
