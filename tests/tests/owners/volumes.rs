//! Volumes that grow with the spec. The test plays the storage class's driver; claims, their rules and refusals are the API server's.

use banhbaoring_testing::wait;
use banhbaoring_tests::team::{PATIENCE, cluster};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Crew, crew};

impl Crew {
    /// A storage class, and a volume for each of three claims of `a`.
    async fn volumes(&self, class: &str, may_grow: bool) {
        let class_object = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
            "provisioner": "tests.banhbaoring.io/none", "allowVolumeExpansion": may_grow});
        let volume = |ordinal: i32| {
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{class}-{ordinal}"),
                    "annotations": {"pv.kubernetes.io/provisioned-by": "tests.banhbaoring.io/none"}},
                "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                    "hostPath": {"path": format!("/nowhere/{class}-{ordinal}")},
                    "claimRef": {"namespace": self.namespace, "name": format!("data-a-{ordinal}")}}})
        };
        self.apply(&[class_object, volume(0), volume(1), volume(2)]).await.unwrap();
    }

    async fn until_claims(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let found = wait::until(PATIENCE, format!("claims {what}"), async || {
            let mut saw = Vec::new();
            for ordinal in 0..3 {
                let claim = self.get(&format!("persistentvolumeclaim/data-a-{ordinal}")).await.map_err(|error| error.to_string())?;
                if !holds(&claim) {
                    saw.push(format!("{} {}", claim["spec"]["resources"], claim["status"]));
                }
            }
            if saw.is_empty() { Ok(()) } else { Err(format!("{saw:?}; status {}", self.told("a").await)) }
        });
        found.await.unwrap();
    }

    async fn until_sized(&self, status: &str, reason: &str) -> String {
        let told = self.until_reason("a", "StorageSized", status, reason).await.unwrap();
        told["message"].as_str().unwrap().to_owned()
    }

    /// What the driver does once a claim asks for more.
    async fn enlarge(&self, size: &str) {
        let claims: Api<DynamicObject> = Api::namespaced_with(
            self.platform.world.cluster.client().await.unwrap(),
            &self.namespace,
            &kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::PersistentVolumeClaim>(&()),
        );
        for ordinal in 0..3 {
            let patch = Patch::Merge(json!({"status": {"capacity": {"storage": size}}}));
            claims.patch_status(&format!("data-a-{ordinal}"), &PatchParams::default(), &patch).await.unwrap();
        }
    }
}

fn is_bound(claim: &Value) -> bool {
    claim["status"]["phase"] == "Bound"
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_grow_with_the_spec_and_the_condition_follows_them() {
    let crew = crew("volumes").await;
    crew.volumes(&crew.namespace, true).await;
    crew.apply(&[cluster("a", &json!({"storage": {"size": "1Gi", "storageClass": crew.namespace}}))]).await.unwrap();
    crew.until_claims("to be bound", is_bound).await;
    crew.until_sized("True", "AsAsked").await;
    crew.patch("openbaocluster/a", &json!({"spec": {"storage": {"size": "2Gi"}}})).await.unwrap();
    crew.until_claims("to ask for 2Gi", |claim| claim["spec"]["resources"]["requests"]["storage"] == "2Gi").await;
    let told = crew.until_sized("False", "Expanding").await;
    assert!(told.contains("data-a-0 has 1Gi"), "{told}");
    crew.enlarge("2Gi").await;
    crew.until_sized("True", "AsAsked").await;
    crew.until_condition("a", "Reconciled", "True").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_whose_volumes_cannot_grow_is_told_with_what_to_do() {
    let crew = crew("fixed-volumes").await;
    crew.volumes(&crew.namespace, false).await;
    crew.apply(&[cluster("a", &json!({"storage": {"size": "1Gi", "storageClass": crew.namespace}}))]).await.unwrap();
    crew.until_claims("to be bound", is_bound).await;
    crew.patch("openbaocluster/a", &json!({"spec": {"storage": {"size": "2Gi"}}})).await.unwrap();
    let told = crew.until_sized("False", "ExpansionRefused").await;
    assert!(told.contains("data-a-0") && told.contains("allowVolumeExpansion: true"), "{told}");
}
