//! What the tests of this binary share: the platform, examples, and pods of what was applied.

use std::time::Duration;

use banhbaoring_testing::bao::Pod;
use banhbaoring_testing::control_plane;
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_testing::wait;
use banhbaoring_tests::{Operator, Team, World};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub(crate) const PATIENCE: Duration = banhbaoring_testing::wait::PATIENCE;

struct Platform {
    world: World,
    _operator: Operator,
}

/// A team on the platform that all tests of this process share.
pub(crate) async fn team(prefix: &str) -> Team {
    static PLATFORM: OnceCell<Platform> = OnceCell::const_new();
    let platform = PLATFORM.get_or_init(|| async {
        let world = World::start(control_plane::Options::default()).await.unwrap();
        let operator = Operator::start(&world.operator("seals")).unwrap();
        world.until_serving(&operator).await.unwrap();
        Platform { world, _operator: operator }
    });
    platform.await.world.team(prefix).await.unwrap()
}

/// The owner in `examples/<name>.yaml`.
pub(crate) fn example(name: &str) -> Value {
    let file = workspace_root().join("examples").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_yaml::from_str(&text).unwrap()
}

/// A Secret of the team.
pub(crate) fn secret(name: &str, values: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})
}

/// Applies an owner with the Secrets that it names, and waits until the first pod of it could start.
pub(crate) async fn pod(team: &Team, owner: &Value, secrets: &[Value]) -> Pod {
    let name = owner["metadata"]["name"].as_str().unwrap();
    let mut owner = owner.clone();
    owner["spec"]["initialization"] = json!({"mode": "Manual"});
    team.apply(&[secrets, std::slice::from_ref(&owner)].concat()).await.unwrap();
    let made = wait::until(PATIENCE, format!("all that the first pod of {name} mounts"), async || {
        let set = team.get(&format!("statefulset/{name}")).await;
        let set = match set {
            Ok(set) => set,
            Err(error) => return Err(format!("{error:#}; status {}", team.cluster(name).await.unwrap_or_default()["status"])),
        };
        let there = team.kubectl.run(&["get", "configmaps,secrets", "-o", "json"]).await.map_err(|error| error.to_string())?;
        let there: Value = serde_json::from_str(&there).map_err(|error| error.to_string())?;
        let objects = there["items"].as_array().cloned().unwrap_or_default();
        Pod::new(&set["spec"]["template"]["spec"], &format!("{name}-0"), &team.namespace, &objects).map_err(|error| error.to_string())
    });
    made.await.unwrap()
}
