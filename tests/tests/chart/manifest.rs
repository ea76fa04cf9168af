//! The single manifest, for clusters without Helm.

use banhbaoring_testing::control_plane::{ControlPlane, Options};
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_tests::{FIRST_PARTY, Operator, operator};

use crate::support::{ACCOUNT, NAMESPACE};

#[tokio::test(flavor = "multi_thread")]
async fn applied_once_the_manifest_makes_everything_that_an_operator_needs_to_lead() {
    // The chart's release has the same names.
    let cluster = ControlPlane::start(Options::default()).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    let manifest = workspace_root().join("deploy/operator.yaml").display().to_string();
    kubectl.run(&["apply", "--server-side", "-f", &manifest]).await.unwrap();
    for plugin in FIRST_PARTY {
        kubectl.in_namespace(NAMESPACE).run(&["get", "serviceaccount", &format!("plugin-{plugin}")]).await.unwrap();
    }
    let kubeconfig = cluster.kubeconfig_of(NAMESPACE, ACCOUNT).await.unwrap();
    let operator = Operator::start(&operator::Options {
        kubeconfig,
        namespace: NAMESPACE.to_owned(),
        identity: "manifest".to_owned(),
        admission: true,
    });
    let operator = operator.unwrap();
    operator.until_leading().await.unwrap();
    assert_eq!(operator.get("/readyz").await.unwrap(), "ok");
    assert!(!operator.log().contains("forbidden"), "{}", operator.server().log_tail());
}
