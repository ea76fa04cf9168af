//! Which APIs the cluster serves: names of resources by kind, and the sorted list that plugins see. Asked once and again when a kind is
//! missing, not more often than a limit.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use banhbaoring_pipeline::contract::{HostIdentity, Platform};
use banhbaoring_pipeline::kinds::{KindInfo, KindTable};
use kube::Client;
use kube::core::discovery::v2::APIGroupDiscoveryList;
use tokio::sync::Mutex;

/// A kind that is not served may be served soon (somebody installs it): it is looked for again this often at most.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(30);

/// Why a kind is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// The API server does not serve it.
    #[error("the API server does not serve {kind} of {api_version}; install its definition, or wait for the plugin that brings it")]
    NotServed {
        /// `group/version`.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The API server did not answer.
    #[error("the list of served APIs could not be read: {0}")]
    Unavailable(String),
}

/// How a kind is addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedKind {
    /// `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Plural resource name, `statefulsets`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Verbs that it serves.
    pub verbs: BTreeSet<String>,
}

impl ServedKind {
    /// The group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// `statefulsets.apps`, as messages name it.
    pub fn resource(&self) -> String {
        match self.group() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

#[derive(Debug, Default)]
struct Served {
    kinds: HashMap<(String, String), ServedKind>,
    /// Version and plural name by `group/Kind`, in the version that the group prefers.
    preferred: HashMap<String, (String, String)>,
    table: KindTable,
    apis: Vec<String>,
    version: String,
    revision: u64,
}

/// What the cluster serves. Cheap to clone.
#[derive(Clone)]
pub struct Discovery {
    client: Client,
    served: Arc<RwLock<Arc<Served>>>,
    asked: Arc<Mutex<Option<Instant>>>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Discovery")
    }
}

impl Discovery {
    /// Nothing is asked before the first use.
    pub fn new(client: Client) -> Self {
        Self { client, served: Arc::default(), asked: Arc::default() }
    }

    /// How `kind` is addressed; asks again when it is not known.
    ///
    /// # Errors
    /// Not served, or the API server does not answer.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<ServedKind, DiscoveryError> {
        if let Some(found) = self.known(api_version, kind) {
            return Ok(found);
        }
        self.refresh_after(REFRESH_INTERVAL).await?;
        self.known(api_version, kind)
            .ok_or_else(|| DiscoveryError::NotServed { api_version: api_version.to_owned(), kind: kind.to_owned() })
    }

    /// The cluster as plugins see it. Asks only if nothing was asked yet.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn platform(&self, cluster_domain: &str, host: &HostIdentity) -> Result<Platform, DiscoveryError> {
        if self.current().version.is_empty() {
            self.refresh_after(Duration::ZERO).await?;
        }
        let served = self.current();
        Ok(Platform {
            kubernetes_version: served.version.clone(),
            apis: served.apis.clone(),
            cluster_domain: cluster_domain.to_owned(),
            host: host.clone(),
        })
    }

    /// The kinds that are served, as admission compares grants with. What is known; nothing is asked.
    pub fn kinds(&self) -> KindTable {
        self.current().table.clone()
    }

    /// The version that its group prefers, and the plural name, of `group/Kind`. What is known; nothing is asked.
    pub fn preferred(&self, kind: &str) -> Option<(String, String)> {
        self.current().preferred.get(kind).cloned()
    }

    /// Changes when something is served that was not before, or no longer.
    pub fn revision(&self) -> u64 {
        self.current().revision
    }

    /// Asks now, whatever the limit: after a definition was installed.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn refresh(&self) -> Result<(), DiscoveryError> {
        self.refresh_after(Duration::ZERO).await
    }

    fn current(&self) -> Arc<Served> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn known(&self, api_version: &str, kind: &str) -> Option<ServedKind> {
        self.current().kinds.get(&(api_version.to_owned(), kind.to_owned())).cloned()
    }

    async fn refresh_after(&self, interval: Duration) -> Result<(), DiscoveryError> {
        let started = Instant::now();
        let mut asked = self.asked.lock().await;
        // Somebody else asked while we waited for our turn, or it is too soon.
        if asked.is_some_and(|at| at >= started || at.elapsed() < interval) {
            return Ok(());
        }
        let mut served = tokio::time::timeout(DEADLINE, ask(&self.client))
            .await
            .map_err(|_| DiscoveryError::Unavailable(format!("no answer within {} s", DEADLINE.as_secs())))?
            .map_err(|error| DiscoveryError::Unavailable(error.to_string()))?;
        let before = self.current();
        let same = (&before.table, &before.apis, &before.version) == (&served.table, &served.apis, &served.version);
        served.revision = before.revision + u64::from(!same);
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        *asked = Some(Instant::now());
        Ok(())
    }
}

async fn ask(client: &Client) -> Result<Served, kube::Error> {
    let (version, core, groups) =
        tokio::try_join!(client.apiserver_version(), client.list_core_api_versions_aggregated(), client.list_api_groups_aggregated())?;
    let mut served = Served { version: version.git_version, ..Served::default() };
    for list in [core, groups] {
        served.add(list);
    }
    served.apis.sort();
    served.apis.dedup();
    for kind in served.kinds.values() {
        served.table.insert(&kind.api_version, &kind.kind, KindInfo { plural: kind.plural.clone(), namespaced: kind.namespaced });
    }
    Ok(served)
}

impl Served {
    fn add(&mut self, list: APIGroupDiscoveryList) {
        for group in list.items {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for version in group.versions {
                let version_name = version.version.unwrap_or_default();
                let api_version = if name.is_empty() { version_name.clone() } else { format!("{name}/{version_name}") };
                for resource in version.resources {
                    let (Some(plural), Some(kind)) = (resource.resource, resource.response_kind.and_then(|kind| kind.kind)) else {
                        continue;
                    };
                    self.apis.push(format!("{api_version}/{kind}"));
                    // Versions come in the order in which they are preferred.
                    let preferred = self.preferred.entry(format!("{name}/{kind}"));
                    preferred.or_insert_with(|| (version_name.clone(), plural.clone()));
                    let info = ServedKind {
                        api_version: api_version.clone(),
                        kind: kind.clone(),
                        plural,
                        namespaced: resource.scope.as_deref() == Some("Namespaced"),
                        verbs: resource.verbs.into_iter().collect(),
                    };
                    self.kinds.entry((api_version.clone(), kind)).or_insert(info);
                }
            }
        }
    }
}
