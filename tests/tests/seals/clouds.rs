//! Seals whose key is in a cloud that cannot be had here: a real `bao` takes the configuration and the credentials, and stops where it needs
//! the cloud. What it sends goes to a proxy of the test, which lets nothing through and remembers who was asked for.

use std::sync::{Arc, Mutex};

use banhbaoring_testing::bao::Pod;
use banhbaoring_testing::pki::Keys;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::support::{PATIENCE, example, pod, secret, team};

/// Refuses every connection, and remembers to where.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = asked.clone();
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut line = String::new();
                if BufReader::new(&mut connection).read_line(&mut line).await.is_ok() {
                    heard.lock().unwrap().push(line.trim().to_owned());
                    let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
                }
            }
        });
        Self { address, asked }
    }
}

/// Starts the node, which ends because it does not reach `host`; what it said.
async fn ends_for_want_of(pod: &Pod, host: &str) -> String {
    let proxy = Proxy::start().await;
    let through = [("HTTPS_PROXY", proxy.address.as_str()), ("HTTP_PROXY", &proxy.address), ("NO_PROXY", "")];
    let bao = pod.start(&pod.address(), &through).unwrap();
    let status = bao.server().until_ended(PATIENCE).await.unwrap();
    let log = bao.server().log();
    assert!(!status.success(), "{log}");
    assert!(!log.contains("unknown or unsupported field"), "{log}");
    let asked = proxy.asked.lock().unwrap().clone();
    assert!(asked.iter().any(|line| line.starts_with(&format!("CONNECT {host}:443 "))), "it asked {asked:?}, and said {log}");
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn gcpkms_is_taken_up_to_the_request_to_google() {
    let team = team("gcpkms").await;
    let key = json!({
        "type": "service_account",
        "project_id": "my-gcp-project",
        "private_key_id": "1",
        "private_key": Keys::rsa().unwrap().private,
        "client_email": "unseal@my-gcp-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    let credentials = secret("gcp-credentials", &json!({"service-account.json": key.to_string()}));
    let pod = pod(&team, &example("unseal-gcpkms"), &[credentials]).await;
    // Without the key file it would not get as far: there are no other credentials to be found.
    let log = ends_for_want_of(&pod, "cloudkms.googleapis.com").await;
    assert!(log.starts_with("Error parsing Seal configuration: error checking key existence"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn azurekv_is_taken_up_to_the_request_to_azure() {
    let team = team("azurekv").await;
    let credentials =
        secret("azure-credentials", &json!({"client-id": "11111111-1111-1111-1111-111111111111", "client-secret": "only for this test"}));
    let pod = pod(&team, &example("unseal-azurekv"), &[credentials]).await;
    let log = ends_for_want_of(&pod, "banhbaoring-vault.vault.azure.net").await;
    let expected = "Error parsing Seal configuration: error fetching Azure Key Vault wrapper key information: Get \"https://banhbaoring-vault.vault.azure.net/keys/unseal-key/";
    assert!(log.starts_with(expected), "{log}");
}
