//! Keeps the certificate that is shown: reads it, and as the leader makes it where it is missing or due.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use banhbaoring_cluster::Cluster;
use banhbaoring_cluster::serving::{ServedAs, ServingCertificate};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Secret in the host's namespace.
pub(super) const SECRET: &str = "banhbaoring-admission";
/// How often it is looked at. A replica shows the old one so much longer, which is good for weeks then.
const LOOK: Duration = Duration::from_secs(30);
/// After one that failed, and while there is none.
const RETRY: Duration = Duration::from_secs(5);

/// The certificate of this moment.
#[derive(Debug)]
pub(super) struct Certificates {
    shown: Arc<ArcSwapOption<CertifiedKey>>,
    authority: watch::Sender<Option<String>>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { shown: Arc::default(), authority: watch::Sender::new(None) }
    }
}

impl Certificates {
    /// Chooses for each connection what is shown.
    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Shown(self.shown.clone()))
    }

    /// Certificate of the authority that signed what is shown, PEM; absent while nothing is.
    pub(super) fn authority(&self) -> watch::Receiver<Option<String>> {
        self.authority.subscribe()
    }

    fn show(&self, certificate: &ServingCertificate) -> Result<(), String> {
        let text = |error: rustls::pki_types::pem::Error| error.to_string();
        let chain = CertificateDer::pem_slice_iter(&certificate.certificate).collect::<Result<Vec<_>, _>>().map_err(text)?;
        let key = PrivateKeyDer::from_pem_slice(&certificate.key).map_err(text)?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| error.to_string())?;
        self.shown.store(Some(Arc::new(key)));
        let authority = String::from_utf8_lossy(&certificate.authority).into_owned();
        self.authority.send_if_modified(|before| {
            let is_news = before.as_ref() != Some(&authority);
            *before = Some(authority);
            is_news
        });
        Ok(())
    }
}

#[derive(Debug)]
struct Shown(Arc<ArcSwapOption<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// Keeps it until `stop`.
pub(super) async fn keep(
    cluster: &Cluster,
    namespace: &str,
    served_as: &ServedAs,
    certificates: &Certificates,
    mut leading: watch::Receiver<bool>,
    stop: &CancellationToken,
) {
    let mut current: Option<ServingCertificate> = None;
    loop {
        let leads = *leading.borrow_and_update();
        let found = if leads {
            cluster.keep_serving_certificate(namespace, SECRET, served_as).await
        } else {
            cluster.serving_certificate(namespace, SECRET).await
        };
        match found {
            Ok(Some(certificate)) if current.as_ref() != Some(&certificate) => match certificates.show(&certificate) {
                Ok(()) => {
                    info!(secret = SECRET, "certificate for the API server's questions");
                    current = Some(certificate);
                }
                Err(error) => {
                    warn!(secret = SECRET, %error, "this certificate cannot be shown; delete the data of the Secret, and it is made anew")
                }
            },
            Ok(_) => {}
            Err(error) => warn!(secret = SECRET, %error, "the certificate for the API server's questions was not looked at; trying again"),
        }
        let wait = if current.is_some() { LOOK } else { RETRY };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = leading.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}
