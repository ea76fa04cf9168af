//! Certificates for the servers of one test: an authority, what it signs, and key pairs.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::{Error, Result};

/// A certificate authority (P-256) that lives as long as its test.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    key: String,
}

/// A certificate and its key, both PEM (key: PKCS #8).
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// A key pair, both PEM (PKCS #8 and SPKI).
#[derive(Debug, Clone)]
pub struct Keys {
    /// The private key.
    pub private: String,
    /// The public key.
    pub public: String,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn new(common_name: &str) -> Result<Self> {
        let failed = failure(common_name);
        let key = KeyPair::generate().map_err(&failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).map_err(&failed)?.pem();
        let pem = key.serialize_pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate, key: pem })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's private key, PEM.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A certificate for a server; `names` are DNS names and IP addresses.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn server(&self, common_name: &str, names: &[&str]) -> Result<Identity> {
        self.issue(common_name, None, names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client; Kubernetes reads the common name as the user and the organisation as its group.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        self.issue(user, group, &[], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, common_name: &str, organisation: Option<&str>, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Result<Identity> {
        let failed = failure(common_name);
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(&failed)?;
        params.distinguished_name = subject(common_name, organisation);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(&failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(&failed)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Keys {
    /// Makes a P-256 key pair.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn new() -> Result<Self> {
        let pair = KeyPair::generate().map_err(failure("a key pair"))?;
        Ok(Self { private: pair.serialize_pem(), public: pair.public_key_pem() })
    }

    /// Makes an RSA key pair, for those who take no other.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn rsa() -> Result<Self> {
        let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).map_err(failure("an RSA key pair"))?;
        Ok(Self { private: pair.serialize_pem(), public: pair.public_key_pem() })
    }
}

fn subject(common_name: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn failure(subject: &str) -> impl Fn(rcgen::Error) -> Error {
    let subject = subject.to_owned();
    move |error| Error::Certificate { subject: subject.clone(), reason: error.to_string() }
}
