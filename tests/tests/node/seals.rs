//! Seals whose key is with somebody else: stores that unseal themselves with it, also when all their pods were killed.

use banhbaoring_testing::moto::Moto;
use banhbaoring_testing::tools::workspace_root;
use banhbaoring_tests::team::cluster;
use serde_json::{Value, json};

use crate::credentials::Exchange;
use crate::store::Store;
use crate::support::platform;

const REGION: &str = "us-east-1";
const VALUE: &str = "sealed-by-another";

#[tokio::test(flavor = "multi_thread")]
async fn a_store_unseals_itself_with_a_key_of_aws_and_takes_other_credentials_from_its_secret() {
    let platform = platform().await;
    let clock = platform.clock.about("awskms");
    let mut owner = example("unseal-awskms");
    let aws = Moto::listening_on(platform.release.node.host()).await.unwrap();
    let key = aws.create_kms_key(REGION).await.unwrap();
    aws.create_kms_alias(REGION, owner["spec"]["unseal"]["keyId"].as_str().unwrap(), &key).await.unwrap();
    owner["spec"]["unseal"]["endpoint"] = aws.endpoint().into();
    let access_keys = aws.demand_access_keys(2).await.unwrap();
    let [first, second] = [0, 1].map(|key| aws_credentials(&access_keys[key].id, &access_keys[key].secret));
    // A production store runs only what its team's key signed.
    let image = platform.release.signed_openbao().await.unwrap();
    let key = std::fs::read_to_string(platform.release.publisher.public_key()).unwrap();
    let pull_secret = platform.release.pull_secret();
    owner["spec"]["image"] = image.as_str().into();
    owner["spec"]["imagePullSecrets"] = json!([{"name": pull_secret["metadata"]["name"]}]);
    owner["spec"]["imageVerification"] = json!({"publicKey": key});

    let team = platform.release.team("awskms").await.unwrap();
    team.apply(&[pull_secret, secret("aws-credentials", &first), owner]).await.unwrap();
    let store = Store::when_ready(&platform.release, &team, "unseal-awskms").await;
    clock.tell("Ready");
    let pod = team.get("pod/unseal-awskms-0").await.unwrap();
    let runs = pod["spec"]["containers"][0]["image"].as_str().unwrap();
    assert!(runs.starts_with(&format!("{image}@sha256:")), "{runs}");
    comes_back(&store, "awskms").await;
    clock.tell("all pods were killed, it unsealed itself, what was written is read");

    let variable = ("AWS_ACCESS_KEY_ID", "access-key-id");
    let exchange = Exchange { team: &team, store: &store, clock, secret: "aws-credentials", variable };
    exchange.rolls_all(&second).await;
    store.until_kept(VALUE).await;
    let nobody = aws_credentials("AKIANOBODYNOBODYNOBO", "of nobody");
    exchange.stops_at_the_first(&nobody, &second, "Error parsing Seal configuration").await;
    store.until_kept(VALUE).await;
    assert_eq!(platform.release.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_unseals_itself_with_the_transit_engine_of_another_that_the_same_operator_runs() {
    let platform = platform().await;
    let clock = platform.clock.about("transit");
    let others = platform.release.team("keys").await.unwrap();
    others.apply(&[cluster("keys", &json!({"version": "2.4.0", "replicas": 1}))]).await.unwrap();
    let keys = Store::when_ready(&platform.release, &others, "keys").await;
    clock.tell("the other store is Ready");
    may_only_encrypt_and_decrypt(&keys).await;
    let token = another_token(&keys).await;
    let authority = others.get("configmap/keys-ca").await.unwrap()["data"]["ca.crt"].clone();

    let team = platform.release.team("transit").await.unwrap();
    let mut owner = example("unseal-transit");
    // As its status tells it to people.
    owner["spec"]["unseal"]["address"] = others.cluster("keys").await.unwrap()["status"]["endpoints"]["active"].clone();
    owner["spec"]["unseal"]["tlsCaCert"] = json!({"secretName": "transit-ca", "key": "ca.crt"});
    let secrets = [secret("transit-token", &json!({"token": token})), secret("transit-ca", &json!({"ca.crt": authority}))];
    team.apply(&[&secrets[..], &[owner]].concat()).await.unwrap();
    let store = Store::when_ready(&platform.release, &team, "unseal-transit").await;
    clock.tell("Ready");
    comes_back(&store, "transit").await;
    clock.tell("all pods were killed, it unsealed itself, what was written is read");
    // As when the machine that both are on is started again: nobody puts them into the right order.
    tokio::join!(store.kill_all_pods(), keys.kill_all_pods());
    store.until_kept(VALUE).await;
    clock.tell("the pods of both were killed at once, both unsealed themselves, what was written is read");

    let exchange = Exchange { team: &team, store: &store, clock, secret: "transit-token", variable: ("VAULT_TRANSIT_SEAL_TOKEN", "token") };
    exchange.rolls_all(&json!({"token": another_token(&keys).await})).await;
    keys.bao(0, &format!("token revoke {token}")).await.unwrap();
    store.kill_all_pods().await;
    store.until_kept(VALUE).await;
    assert_eq!(platform.release.complaints().await, Vec::<String>::new());
    clock.tell("the token of before is revoked, all pods were killed, it unsealed itself, what was written is read");
}

async fn comes_back(store: &Store<'_>, seal: &str) {
    store.keep(VALUE).await;
    store.until_kept(VALUE).await;
    store.kill_all_pods().await;
    store.until_kept(VALUE).await;
    let owner = store.until_ready().await;
    let members = owner["status"]["members"].as_array().cloned().unwrap_or_default();
    assert!(members.len() == 3 && members.iter().all(|member| member["sealed"] == false), "{members:?}");
    // `bao status` ends with 0 where it is unsealed.
    let status: Value = serde_json::from_str(&store.bao(0, "status -format=json").await.unwrap()).unwrap();
    assert_eq!((&status["type"], &status["recovery_seal"]), (&json!(seal), &json!(true)), "{status}");
}

/// Makes the key and a policy of those who unseal themselves with it.
async fn may_only_encrypt_and_decrypt(keys: &Store<'_>) {
    keys.bao(0, "secrets enable transit").await.unwrap();
    keys.bao(0, "write -f transit/keys/autounseal").await.unwrap();
    let policy = "path \"transit/encrypt/autounseal\" {capabilities = [\"update\"]} path \"transit/decrypt/autounseal\" {capabilities = [\"update\"]}";
    keys.bao(0, &format!("write sys/policies/acl/autounseal policy='{policy}'")).await.unwrap();
}

async fn another_token(keys: &Store<'_>) -> String {
    let token = keys.bao(0, "token create -policy=autounseal -period=24h -orphan -field=token").await.unwrap();
    token.trim().to_owned()
}

fn aws_credentials(id: &str, secret: &str) -> Value {
    json!({"access-key-id": id, "secret-access-key": secret})
}

/// The owner in `examples/<name>.yaml`.
fn example(name: &str) -> Value {
    let file = workspace_root().join("examples").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_yaml::from_str(&text).unwrap()
}

fn secret(name: &str, values: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})
}
