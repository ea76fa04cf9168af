//! The registries of the tests by what they can, each at an address.

use banhbaoring_testing::registry::{self, Options, ReferrersRegistry};
use banhbaoring_testing::server::Server;

/// A running registry, gone when dropped.
pub struct Registry {
    pub address: String,
    kind: Kind,
}

enum Kind {
    Distribution(registry::Registry),
    Referrers(ReferrersRegistry),
}

impl Registry {
    /// The distribution registry: no Referrers API.
    pub async fn distribution() -> Self {
        Self::distribution_with(Options::default()).await
    }

    /// The distribution registry with one user, asked for by basic authentication.
    pub async fn with_user(name: &str, password: &str) -> Self {
        Self::distribution_with(Options { account: Some((name.to_owned(), password.to_owned())), ..Options::default() }).await
    }

    /// The distribution registry over TLS.
    pub async fn with_tls() -> Self {
        Self::distribution_with(Options { tls: true, ..Options::default() }).await
    }

    async fn distribution_with(options: Options) -> Self {
        let running = registry::Registry::with(options).await.unwrap();
        Self { address: running.host(), kind: Kind::Distribution(running) }
    }

    /// A registry with the Referrers API.
    pub async fn with_referrers() -> Self {
        let running = ReferrersRegistry::start().await.unwrap();
        Self { address: running.host(), kind: Kind::Referrers(running) }
    }

    /// One of each kind, for what must work on both.
    pub async fn both() -> [Self; 2] {
        [Self::distribution().await, Self::with_referrers().await]
    }

    /// The PEM to trust, of one with TLS.
    pub fn authority(&self) -> &str {
        match &self.kind {
            Kind::Distribution(running) => running.authority().unwrap(),
            Kind::Referrers(_) => panic!("it has no TLS"),
        }
    }

    /// Takes it off the network.
    pub fn stop(&self) {
        self.server().kill();
    }

    fn server(&self) -> &Server {
        match &self.kind {
            Kind::Distribution(running) => running.server(),
            Kind::Referrers(running) => running.server(),
        }
    }
}
