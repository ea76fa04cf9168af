//! One generated Secret, written: created where there must be none, completed or renewed where it is ours, its public parts published.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use banhbaoring_api::inventory::ChildEntry;
use banhbaoring_pipeline::contract::{GeneratedSecret, ObjectReference, SecretClass};
use banhbaoring_pipeline::plan::{SecretWrite, Step};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::SecretError;
use super::generate::{self, Foreign, Made, Source, Values};
use super::material;
use super::public::is_public;
use crate::apply::{Done, Ledger, StepError, Written, claim, creation, mark, published_to, set_metadata};
use crate::cluster::Cluster;
use crate::managed_fields::fields_hash;
use crate::request::{Answer, ApiError, Endpoint, Seen};

/// What was made once and is gone from its Secret is not made anew: pods may still have the original mounted, and a new one would take its place there.
fn refuse_second_identity(secret: &GeneratedSecret, values: &Values, entry: Option<&ChildEntry>) -> Result<(), SecretError> {
    let made = |key: &str| entry.is_some_and(|entry| entry.material.contains_key(key));
    let lost = secret.entries.iter().find(|wanted| made(&wanted.key) && !values.contains_key(&wanted.key));
    match lost.filter(|_| secret.class == SecretClass::Identity) {
        Some(lost) => Err(SecretError::Lost { secret: secret.name.clone(), key: lost.key.clone() }),
        None => Ok(()),
    }
}

impl Cluster {
    pub(crate) async fn write_secret(&self, step: &Step, write: &SecretWrite, ledger: &Ledger) -> Result<Done, StepError> {
        let endpoint = self.endpoint(step, &step.reference).await?;
        refuse_private_publications(&write.secret)?;
        let foreign = self.foreign(step, &write.secret, ledger).await?;
        let (answer, made, created) = if write.create {
            let restored = self.restored(step, &write.secret).await?;
            let made = self.make(&write.secret, restored, foreign.clone()).await?;
            let body = creation(&with_data(&write.manifest, &made.values), ledger.intent(&step.reference));
            match endpoint.apply(&body, &write.manager, Answer::Metadata).await {
                Ok(answer) => (answer, made, true),
                Err(ApiError::Conflict { .. }) => match claim(&endpoint, &step.reference, ledger).await {
                    Ok(Some(seen)) => self.complete(&endpoint, step, write, &seen.uid, ledger, foreign).await?,
                    Ok(None) => return Ok(Done::Leaving),
                    Err(StepError::NameTaken(reference)) if write.secret.class == SecretClass::Identity => {
                        return Err(StepError::IdentityInTheWay(reference));
                    }
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error.into()),
            }
        } else {
            let uid = write.uid.as_deref().unwrap_or_default();
            self.complete(&endpoint, step, write, uid, ledger, foreign).await?
        };
        let seen = Seen::of(&answer);
        // The Secret is made and recorded whatever becomes of its publications; they are tried again.
        let (published, publish_failed) = match self.publish(step, write, &made.values, ledger).await {
            Ok(published) => (published, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Ok(Done::Written(Box::new(Written {
            fields_hash: fields_hash(&seen.managed_fields, &write.manager, &[]),
            material: Some(material::hashes(&seen.uid, &made.values)),
            renew_at: made.renew_at,
            uid: seen.uid,
            resource_version: seen.resource_version,
            created,
            published,
            publish_failed,
            sighting: None,
        })))
    }

    async fn endpoint(&self, step: &Step, reference: &ObjectReference) -> Result<Endpoint, ApiError> {
        Endpoint::find(&self.clients, &self.discovery, Some(&step.account), reference).await
    }

    /// Adds what is missing, or makes anew what is due. The whole data is sent with the version that was read: whoever changes it meanwhile wins.
    async fn complete(
        &self,
        endpoint: &Endpoint,
        step: &Step,
        write: &SecretWrite,
        uid: &str,
        ledger: &Ledger,
        foreign: Foreign,
    ) -> Result<(Value, Made, bool), StepError> {
        let conflict = |message: &str| ApiError::Conflict { target: format!("Secret {}", write.secret.name), message: message.to_owned() };
        let live = endpoint.get(Answer::Whole).await?.ok_or_else(|| conflict("it is gone"))?;
        let seen = Seen::of(&live);
        if seen.uid != uid {
            return Err(conflict("its uid is another").into());
        }
        let values = material::values_of(&live);
        refuse_second_identity(&write.secret, &values, ledger.entry(&step.reference))?;
        let made = self.make(&write.secret, values, foreign).await?;
        let mut body = with_data(&write.manifest, &made.values);
        set_metadata(&mut body, "uid", json!(uid));
        set_metadata(&mut body, "resourceVersion", json!(seen.resource_version));
        mark(&mut body, ledger.intent(&step.reference).filter(|_| write.create));
        let answer = endpoint.apply(&body, &write.manager, Answer::Metadata).await?;
        Ok((answer, made, false))
    }

    /// Keys may take seconds to make, so not on the threads that serve requests.
    async fn make(&self, secret: &GeneratedSecret, existing: Values, foreign: Foreign) -> Result<Made, StepError> {
        let secret = secret.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let making = tokio::task::spawn_blocking(move || {
            let mut random = rand::rng();
            generate::make(&secret, &existing, &foreign, &mut Source { random: &mut random, now })
        });
        match making.await {
            Ok(made) => Ok(made?),
            Err(_) => Err(SecretError::Made { key: String::new(), message: "making it was interrupted".to_owned() }.into()),
        }
    }

    /// Values of other Secrets that are needed: only of those that the inventory knows by uid, so that nobody can slip an authority in.
    async fn foreign(&self, step: &Step, secret: &GeneratedSecret, ledger: &Ledger) -> Result<Foreign, StepError> {
        let mut by_secret: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, key) in generate::needed(secret)? {
            by_secret.entry(name).or_default().push(key);
        }
        let mut foreign = Foreign::new();
        for (name, keys) in by_secret {
            let reference = ObjectReference { name: name.clone(), ..step.reference.clone() };
            let missing = |key: &String| SecretError::Missing { secret: name.clone(), key: key.clone() };
            let not_ours = || SecretError::NotOurs { secret: name.clone() };
            let entry = ledger.entry(&reference).ok_or_else(not_ours)?;
            let live = match (&entry.uid, self.endpoint(step, &reference).await?.get(Answer::Whole).await?) {
                (Some(uid), Some(live)) if *uid == Seen::of(&live).uid => live,
                (Some(_), Some(_)) => return Err(not_ours().into()),
                _ => return Err(missing(&keys.first().cloned().unwrap_or_default()).into()),
            };
            let mut values = material::values_of(&live);
            for key in keys {
                let value = values.remove(&key).ok_or_else(|| missing(&key))?;
                foreign.insert((name.clone(), key), value);
            }
        }
        Ok(foreign)
    }

    /// What the owner explicitly brought to start from.
    async fn restored(&self, step: &Step, secret: &GeneratedSecret) -> Result<Values, StepError> {
        let Some(name) = &secret.restore_from else {
            return Ok(Values::new());
        };
        let reference = ObjectReference { name: name.clone(), ..step.reference.clone() };
        let missing = |key: &str| SecretError::Missing { secret: name.clone(), key: key.to_owned() };
        let live = self.endpoint(step, &reference).await?.get(Answer::Whole).await?.ok_or_else(|| missing("any"))?;
        let mut values = material::values_of(&live);
        // A half restored identity would be a new one: every entry has to be there.
        if let Some(entry) = secret.entries.iter().find(|entry| !values.contains_key(&entry.key)) {
            return Err(missing(&entry.key).into());
        }
        let public = generate::public(secret)?;
        values.retain(|key, _| public.contains(key) || secret.entries.iter().any(|entry| entry.key == *key));
        Ok(values)
    }

    async fn publish(
        &self,
        step: &Step,
        write: &SecretWrite,
        values: &Values,
        ledger: &Ledger,
    ) -> Result<Vec<(ObjectReference, Box<Written>)>, StepError> {
        let mut by_name: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for publication in &write.secret.publish {
            let value = values.get(&publication.key).filter(|value| is_public(value));
            let text = value.and_then(|value| std::str::from_utf8(value).ok()).ok_or_else(|| not_public(&publication.key))?;
            by_name.entry(&publication.config_map).or_default().insert(&publication.config_map_key, text);
        }
        let mut published = Vec::new();
        for (name, data) in by_name {
            let reference = published_to(&step.reference, name);
            let mut manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": write.manifest["metadata"], "data": data});
            set_metadata(&mut manifest, "name", json!(name));
            let written = self.publish_one(step, &reference, &manifest, &write.manager, ledger).await?;
            published.push((reference, Box::new(written)));
        }
        Ok(published)
    }

    async fn publish_one(
        &self,
        step: &Step,
        reference: &ObjectReference,
        manifest: &Value,
        manager: &str,
        ledger: &Ledger,
    ) -> Result<Written, StepError> {
        let endpoint = self.endpoint(step, reference).await?;
        let intent = ledger.intent(reference);
        let update = async |uid: &str| {
            let mut body = manifest.clone();
            set_metadata(&mut body, "uid", json!(uid));
            mark(&mut body, intent);
            endpoint.apply(&body, manager, Answer::Metadata).await
        };
        let recorded = ledger.entry(reference).and_then(|entry| entry.uid.clone());
        let is_there = match &recorded {
            Some(uid) => endpoint.get(Answer::Metadata).await?.filter(|live| Seen::of(live).uid == *uid).is_some(),
            None => false,
        };
        let (answer, created) = match recorded.filter(|_| is_there) {
            Some(uid) => (update(&uid).await?, false),
            None => match endpoint.apply(&creation(manifest, intent), manager, Answer::Metadata).await {
                Ok(answer) => (answer, true),
                Err(ApiError::Conflict { message, target }) => match claim(&endpoint, reference, ledger).await? {
                    Some(seen) => (update(&seen.uid).await?, false),
                    None => return Err(ApiError::Conflict { target, message }.into()),
                },
                Err(error) => return Err(error.into()),
            },
        };
        let seen = Seen::of(&answer);
        Ok(Written {
            fields_hash: fields_hash(&seen.managed_fields, manager, &[]),
            uid: seen.uid,
            resource_version: seen.resource_version,
            created,
            ..Written::default()
        })
    }
}

/// Whatever a plugin says, a ConfigMap only gets what the generators make public.
fn refuse_private_publications(secret: &GeneratedSecret) -> Result<(), SecretError> {
    let public = generate::public(secret)?;
    match secret.publish.iter().find(|publication| !public.contains(&publication.key)) {
        Some(publication) => Err(not_public(&publication.key)),
        None => Ok(()),
    }
}

fn not_public(key: &str) -> SecretError {
    SecretError::Spec {
        key: key.to_owned(),
        generator: "publish".to_owned(),
        message: "expected the key of a certificate or public key that this Secret's generators make".to_owned(),
    }
}

fn with_data(manifest: &Value, values: &Values) -> Value {
    let mut body = manifest.clone();
    let data: serde_json::Map<String, Value> = values.iter().map(|(key, value)| (key.clone(), json!(STANDARD.encode(value)))).collect();
    body["data"] = Value::Object(data);
    body
}
