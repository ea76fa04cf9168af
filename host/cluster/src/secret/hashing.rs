//! Salted hashes of passwords for programs that check them: bcrypt for htpasswd, SCRAM-SHA-256 (RFC 5802, 7677) in the form of RFC 5803. Pure.

use banhbaoring_contract::generator::{Hash, HashAlgorithm};
use banhbaoring_pipeline::contract::SecretEntry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};

use super::error::SecretError;
use super::generate::{Values, invalid};

/// bcrypt looks at no more.
const BCRYPT_BYTES: usize = 72;

pub(super) fn hash(entry: &SecretEntry, spec: &Hash, values: &Values, random: &mut impl CryptoRng) -> Result<Vec<u8>, SecretError> {
    let value = values.get(&spec.of).ok_or_else(|| SecretError::Reference { key: entry.key.clone(), refers_to: spec.of.clone() })?;
    let mut salt = [0_u8; 16];
    random.fill_bytes(&mut salt);
    let (cost, costs) = (spec.cost.unwrap_or(spec.algorithm.default_cost()), spec.algorithm.costs());
    if !costs.contains(&cost) {
        return Err(invalid(entry, format!("expected a cost of {} to {}, found {cost}", costs.start(), costs.end())));
    }
    let hash = match spec.algorithm {
        HashAlgorithm::Bcrypt => bcrypt_text(entry, value, cost, salt)?,
        HashAlgorithm::ScramSha256 => scram(value, &salt, cost).ok_or_else(|| invalid(entry, "the value cannot be hashed".to_owned()))?,
    };
    Ok(format!("{}{hash}", spec.prefix).into_bytes())
}

fn bcrypt_text(entry: &SecretEntry, value: &[u8], cost: u32, salt: [u8; 16]) -> Result<String, SecretError> {
    if value.len() > BCRYPT_BYTES || value.contains(&0) {
        return Err(invalid(entry, format!("expected a value of at most {BCRYPT_BYTES} bytes and no zero byte: bcrypt ignores the rest")));
    }
    let parts = bcrypt::hash_with_salt(value, cost, salt)
        .map_err(|error| SecretError::Made { key: entry.key.clone(), message: error.to_string() })?;
    Ok(parts.format_for_version(bcrypt::Version::TwoB))
}

/// Generated passwords are ASCII, for which SASLprep changes nothing.
fn scram(password: &[u8], salt: &[u8], iterations: u32) -> Option<String> {
    let mut block = keyed(password, &[salt, &1_u32.to_be_bytes()].concat())?;
    let mut salted = block;
    for _ in 1..iterations {
        block = keyed(password, &block)?;
        salted.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    let stored = Sha256::digest(keyed(&salted, b"Client Key")?);
    let server = keyed(&salted, b"Server Key")?;
    Some(format!("SCRAM-SHA-256${iterations}:{}${}:{}", STANDARD.encode(salt), STANDARD.encode(stored), STANDARD.encode(server)))
}

fn keyed(key: &[u8], message: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3: password `pencil`.
    #[test]
    fn scram_agrees_with_the_example_of_its_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let text = scram(b"pencil", &salt, 4096).unwrap();
        let server_key = STANDARD.decode(text.rsplit(':').next().unwrap()).unwrap();
        let exchange = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = keyed(&server_key, exchange.as_bytes()).unwrap();
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
