//! Certificates. Nodes always talk to each other with certificates of the cluster's own authority; `mode` says what clients see at the
//! public Service (the edge), since a public authority signs no cluster-internal name.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Certificates of the cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.mode != 'Secret' || has(self.secretName)").message("tls.mode Secret needs tls.secretName"),
    validation = Rule::new("self.mode != 'CertManager' || (has(self.issuerRef) && has(self.secretName) && has(self.dnsNames) && size(self.dnsNames) > 0)").message("tls.mode CertManager needs tls.issuerRef, tls.secretName and tls.dnsNames"),
    validation = Rule::new("self.mode != 'ACME' || (has(self.acme) && has(self.dnsNames) && size(self.dnsNames) > 0)").message("tls.mode ACME needs tls.acme and tls.dnsNames"),
    validation = Rule::new("!has(self.secretName) || self.mode in ['Secret', 'CertManager']").message("tls.secretName is read only with tls.mode Secret or CertManager: set tls.mode, or leave it out"),
    validation = Rule::new("!has(self.issuerRef) || self.mode == 'CertManager'").message("tls.issuerRef is read only with tls.mode CertManager: set tls.mode, or leave it out"),
    validation = Rule::new("!has(self.acme) || self.mode == 'ACME'").message("tls.acme is read only with tls.mode ACME: set tls.mode, or leave it out"),
    validation = Rule::new("!has(self.ipAddresses) || size(self.ipAddresses) == 0 || self.mode in ['OperatorManaged', 'CertManager']").message("tls.ipAddresses is read only with tls.mode OperatorManaged or CertManager: a provided certificate has its own, and ACME signs names"),
    validation = Rule::new("self.mode != 'ACME' || !has(self.dnsNames) || !self.dnsNames.exists(name, name.startsWith('*'))").message("tls.mode ACME cannot get a certificate for a wildcard: the TLS-ALPN challenge proves one name; name each, or choose CertManager")
)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Where the edge certificate comes from.
    #[serde(default)]
    pub mode: TlsMode,
    /// Secret: a Secret of type `kubernetes.io/tls`. CertManager: where cert-manager shall put the certificate; it is named here because
    /// pods may only use Secrets that the operator made or that you named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// CertManager: who signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// ACME: whom OpenBao asks for its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeSpec>,
    /// Names under which clients reach the cluster, besides those of its Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$")
        )
    )]
    pub dns_names: Vec<String>,
    /// Addresses under which clients reach the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 2, max = 45), regex(pattern = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F.:]*:[0-9a-fA-F.:]*)$"))
    )]
    pub ip_addresses: Vec<String>,
    /// Lifetimes of what the operator makes.
    #[serde(default)]
    pub certificate: CertificateSpec,
}

/// Where the certificate that clients see comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// From the cluster's own authority; its certificate is published in the ConfigMap `<cluster>-ca`.
    #[default]
    OperatorManaged,
    /// From a Secret that somebody else keeps.
    Secret,
    /// From cert-manager.
    CertManager,
    /// OpenBao gets it by itself.
    #[serde(rename = "ACME")]
    Acme,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Its name.
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub name: String,
    /// `Issuer` or `ClusterIssuer`.
    #[serde(default = "issuer_kind")]
    #[schemars(regex(pattern = r"^[A-Z][A-Za-z0-9]*$"), length(min = 1, max = 63))]
    pub kind: String,
    /// Its API group.
    #[serde(default = "issuer_group")]
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub group: String,
}

/// An ACME directory. Only the TLS-ALPN challenge is used: a node without root cannot listen on port 80.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcmeSpec {
    /// The directory's URL.
    #[serde(default = "acme_directory")]
    #[schemars(regex(pattern = r"^https://\S+$"), length(max = 2048))]
    pub directory: String,
    /// Contact for the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[^@\s]+@[^@\s]+$"), length(min = 3, max = 320))]
    pub email: Option<String>,
    /// ConfigMap with the authority (`ca.crt`) of a private directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::OBJECT_NAME), length(min = 1, max = 253))]
    pub ca_config_map: Option<String>,
}

/// Lifetimes in days.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.renewBeforeDays < self.validDays && self.validDays <= self.caValidDays").message("renewBeforeDays must be below validDays, and validDays at most caValidDays")
)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// A node's certificate.
    #[serde(default = "valid_days")]
    #[schemars(range(min = 1, max = 3650), transform = schema::without_format)]
    pub valid_days: u32,
    /// Renewed so long before it expires.
    #[serde(default = "renew_before_days")]
    #[schemars(range(min = 1, max = 3650), transform = schema::without_format)]
    pub renew_before_days: u32,
    /// The authority's certificate.
    #[serde(default = "ca_valid_days")]
    #[schemars(range(min = 1, max = 7300), transform = schema::without_format)]
    pub ca_valid_days: u32,
}

impl Default for CertificateSpec {
    fn default() -> Self {
        Self { valid_days: valid_days(), renew_before_days: renew_before_days(), ca_valid_days: ca_valid_days() }
    }
}

fn issuer_kind() -> String {
    "Issuer".to_owned()
}

fn issuer_group() -> String {
    "cert-manager.io".to_owned()
}

fn acme_directory() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}

fn valid_days() -> u32 {
    90
}

fn renew_before_days() -> u32 {
    30
}

fn ca_valid_days() -> u32 {
    3650
}
