//! Credentials of the seal: annotations with the hashes of what it reads from Secrets. OpenBao reads it once, when it starts, so one that is exchanged has to
//! restart the nodes, and does it while the one before is still good. A wrong one stops at the first node, as every other change that does not come up.

use std::collections::{BTreeMap, BTreeSet};

use banhbaoring_sdk::contract::SecretHash;
use banhbaoring_sdk::wit::{EnvValue, Seal, SecretKey, VolumeSource};

/// Prefix of the annotations; a number follows, since names of Secrets may be longer than those of annotations.
const SEAL_HASH: &str = "openbao.org/seal-hash-";
/// The seal whose Secrets hold the key itself. Under the same name another key opens nothing: where it is exchanged by mistake, nodes that run are what is left
/// of the store, and none may be restarted for it. Another key on purpose has another name, which is in the configuration.
const KEY_OF_ITS_OWN: &str = "static";

/// Annotations of the pods' template.
pub(super) fn hashes(seal: &Seal) -> BTreeMap<String, String> {
    if seal.stanza == KEY_OF_ITS_OWN {
        return BTreeMap::new();
    }
    let mut whole = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for volume in &seal.volumes {
        match &volume.source {
            VolumeSource::Secret(of) if of.items.is_empty() => drop(whole.insert(of.secret.as_str())),
            VolumeSource::Secret(of) => keys.extend(of.items.iter().map(|item| (of.secret.as_str(), item.key.as_str()))),
            // The kubelet exchanges it, and whoever uses it reads it anew.
            VolumeSource::Token(_) => {}
        }
    }
    for variable in &seal.env {
        if let EnvValue::SecretKey(SecretKey { secret, key }) = &variable.value {
            keys.insert((secret, key));
        }
    }
    let of_keys = keys.into_iter().filter(|(secret, _)| !whole.contains(secret)).map(|(secret, key)| SecretHash::of_key(secret, key));
    let all = whole.iter().copied().map(SecretHash::of_secret).chain(of_keys);
    all.enumerate().map(|(number, hash)| (format!("{SEAL_HASH}{number}"), hash.to_string())).collect()
}
