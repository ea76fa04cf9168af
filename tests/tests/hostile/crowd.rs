//! Fifty owners of a well-behaved plugin, whom nothing may touch, and a few more who change and must be obeyed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use banhbaoring_tests::{Stage, objects};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::villain::{Villain, config_map};

const OWNERS: usize = 50;
pub const GROUP: &str = "crowd.tests.banhbaoring.io";
pub const KIND: &str = "Citizen";

pub struct Crowd {
    namespace: String,
    /// Uid and resourceVersion of every owner and child, when all was well for the first time.
    seen: BTreeMap<String, String>,
    pid: u32,
}

impl Crowd {
    /// The crowd of this process.
    pub async fn shared() -> &'static Self {
        static CROWD: OnceCell<Crowd> = OnceCell::const_new();
        CROWD.get_or_init(Self::assemble).await
    }

    async fn assemble() -> Self {
        let leader = Villain::of_kind("crowd", GROUP, KIND).await;
        leader.publish_and_activate().await;
        for number in 0..OWNERS {
            let children = [config_map(&format!("a-{number}"), "first"), config_map(&format!("b-{number}"), "first")];
            leader.asks(&format!("citizen-{number}"), &json!({ "objects": children })).await;
        }
        for number in 0..OWNERS {
            leader.until_ready(&format!("citizen-{number}")).await;
        }
        let pid = leader.stage.operator.server().pid();
        let mut crowd = Self { namespace: leader.namespace.clone(), seen: BTreeMap::new(), pid };
        crowd.seen = crowd.look(leader.stage).await;
        assert_eq!(crowd.seen.len(), 3 * OWNERS, "{:?}", crowd.seen);
        crowd
    }

    async fn look(&self, stage: &Stage) -> BTreeMap<String, String> {
        let client = stage.cluster.client().await.unwrap();
        let owners: Api<DynamicObject> = Api::namespaced_with(client.clone(), &self.namespace, &objects::resource(GROUP, KIND));
        let maps: Api<ConfigMap> = Api::namespaced(client, &self.namespace);
        let owners = owners.list(&ListParams::default()).await.unwrap();
        let maps = maps.list(&ListParams::default().labels("banhbaoring.io/owner-uid")).await.unwrap();
        let ready = |owner: &Value| objects::condition(owner, "Ready").is_some_and(|ready| ready["status"] == "True");
        for owner in &owners.items {
            let owner = serde_json::to_value(owner).unwrap();
            assert!(ready(&owner), "an owner of the crowd is not Ready: {owner}");
        }
        owners.items.iter().map(|owner| version("owner", owner)).chain(maps.items.iter().map(|map| version("child", map))).collect()
    }

    /// No owner and no child was written since the crowd was made, which also means that no owner was anything but Ready meanwhile; and
    /// the operator is the process that it was.
    pub async fn has_not_noticed(&self) {
        let stage = Stage::shared().await.unwrap();
        assert_eq!(self.look(stage).await, self.seen);
        let server = stage.operator.server();
        assert_eq!((server.pid(), server.exit_status()), (self.pid, None), "{}", server.log_tail());
    }

    /// Somebody joins, changes, and is obeyed.
    pub async fn is_obeyed(&self) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let newcomer = Villain::of_kind("crowd", GROUP, KIND).await;
        let name = format!("newcomer-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        for text in ["first", "second"] {
            newcomer.asks(&name, &json!({"objects": [config_map(&name, text)]})).await;
            newcomer.until_child_says(&name, text).await;
        }
        newcomer.until_ready(&name).await;
    }
}

fn version<K: Resource>(what: &str, object: &K) -> (String, String) {
    let version = format!("{}@{}", object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    (format!("{what} {}", object.name_any()), version)
}
