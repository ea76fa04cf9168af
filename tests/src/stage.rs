//! One control plane, one registry and one leading operator, as most test binaries share them.
//!
//! Plugins are cluster-scoped and every operator serves all of them, so a stage has a control plane of its own.

use anyhow::{Context as _, Result};
use banhbaoring_testing::control_plane::{self, ControlPlane};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{Installation, Operator, Publisher, operator};

/// The account that plugins of a stage act as.
const ACCOUNT: &str = "may-do-everything";

/// What a test with plugins needs around it. Dropped in the order of the fields: clients before what they talk to.
#[derive(Debug)]
pub struct Stage {
    /// It leads.
    pub operator: Operator,
    /// The host's definitions and namespace.
    pub installation: Installation,
    /// A registry without the Referrers API.
    pub publisher: Publisher,
    /// The cluster, of this stage alone.
    pub cluster: ControlPlane,
}

impl Stage {
    /// The stage of this process, set up at the first call.
    ///
    /// # Errors
    /// A server does not come up, or the binary is not built.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Stage> = OnceCell::const_new();
        let stage = SHARED.get_or_try_init(Self::start).await?;
        stage.operator.still_runs()?;
        Ok(stage)
    }

    /// A stage of one's own: for tests that stop a part of it.
    ///
    /// # Errors
    /// A server does not come up, or the binary is not built.
    pub async fn start() -> Result<Self> {
        let cluster = ControlPlane::start(control_plane::Options::default()).await?;
        let publisher = Publisher::start().await?;
        let installation = Installation::new(&cluster, "host").await?;
        let account = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": installation.namespace}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": installation.namespace}]},
        ]});
        cluster.kubectl()?.apply(&account.to_string()).await?;
        let operator = Operator::start(&operator::Options {
            kubeconfig: cluster.kubeconfig().to_owned(),
            namespace: installation.namespace.clone(),
            identity: "stage".to_owned(),
            admission: true,
        })?;
        operator.until_leading().await?;
        Ok(Self { operator, installation, publisher, cluster })
    }

    /// A Plugin written by hand. Its account may do everything, so that what is refused to it is refused by the host and not by RBAC.
    #[must_use]
    pub fn plugin(&self, name: &str, oci: &Value, verify: &Value, grants: &Value) -> Value {
        json!({
            "apiVersion": "plugins.banhbaoring.io/v1alpha1", "kind": "Plugin", "metadata": {"name": name},
            "spec": {
                "source": {"oci": oci},
                "verify": verify,
                "grants": grants,
                "serviceAccountRef": {"namespace": self.installation.namespace, "name": ACCOUNT},
            },
        })
    }

    /// Resident memory of the operator in KiB.
    ///
    /// # Errors
    /// It does not run.
    pub fn resident_kibibytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.operator.server().pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("expected VmRSS in the status of the operator")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }
}
