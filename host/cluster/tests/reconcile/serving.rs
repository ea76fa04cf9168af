//! The certificate of the host's own: made once, kept, good for the names it is asked for by, and never a reason to touch what others wrote of the Secret.

use banhbaoring_cluster::serving::{ServedAs, ServingCertificate};
use serde_json::{Value, json};

use crate::support::Fixture;

const NAME: &str = "serving";

fn served_as(name: &str) -> ServedAs {
    ServedAs { dns_names: vec![name.to_owned()], ip_addresses: vec![] }
}

async fn kept(fixture: &Fixture, name: &str) -> ServingCertificate {
    fixture.cluster.keep_serving_certificate(&fixture.namespace, NAME, &served_as(name)).await.unwrap().unwrap()
}

async fn secret(fixture: &Fixture) -> Value {
    serde_json::from_str(&fixture.kubectl.run(&["get", "secret", NAME, "-o", "json"]).await.unwrap()).unwrap()
}

#[tokio::test]
async fn it_is_made_once_and_read_by_others() {
    let fixture = Fixture::new("serving-once").await;
    assert_eq!(fixture.cluster.serving_certificate(&fixture.namespace, NAME).await.unwrap(), None, "who only reads makes none");
    let made = kept(&fixture, "a.test").await;
    let version = secret(&fixture).await["metadata"]["resourceVersion"].clone();
    assert_eq!(kept(&fixture, "a.test").await, made);
    assert_eq!(secret(&fixture).await["metadata"]["resourceVersion"], version, "nothing differs, nothing is written");
    let read = fixture.restarted().await.serving_certificate(&fixture.namespace, NAME).await.unwrap();
    assert_eq!(read, Some(made));
}

#[tokio::test]
async fn a_new_name_gets_a_new_certificate_of_the_same_authority() {
    let fixture = Fixture::new("serving-name").await;
    let before = kept(&fixture, "a.test").await;
    let after = kept(&fixture, "b.test").await;
    assert_eq!(after.authority, before.authority, "who was told to trust it need not be told anew");
    assert!(after.certificate != before.certificate && after.key != before.key);
}

#[tokio::test]
async fn what_is_not_usable_is_made_anew_and_what_others_wrote_stays() {
    let fixture = Fixture::new("serving-odd").await;
    let shell = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": "Helm"}}});
    fixture.kubectl.apply(&shell.to_string()).await.unwrap();
    let made = kept(&fixture, "a.test").await;
    assert_eq!(secret(&fixture).await["metadata"]["labels"], shell["metadata"]["labels"]);
    fixture.kubectl.apply(&shell.to_string()).await.expect("who made the Secret still owns what it wrote of it");

    let odd = json!({"data": {"ca.key": "bm90IGEga2V5", "ca.crt": "bm90IGEgY2VydGlmaWNhdGU="}}).to_string();
    fixture.kubectl.run(&["patch", "secret", NAME, "--type=merge", "-p", &odd]).await.unwrap();
    let anew = kept(&fixture, "a.test").await;
    assert!(anew.authority != made.authority && anew.certificate != made.certificate);
    assert_eq!(kept(&fixture, "a.test").await, anew);
}

#[tokio::test]
async fn of_two_that_make_it_at_once_one_wins_and_both_show_the_same() {
    let fixture = Fixture::new("serving-two").await;
    let other = fixture.restarted().await;
    let served_as = served_as("a.test");
    let (one, two) = tokio::join!(
        fixture.cluster.keep_serving_certificate(&fixture.namespace, NAME, &served_as),
        other.keep_serving_certificate(&fixture.namespace, NAME, &served_as),
    );
    assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
    let now = kept(&fixture, "a.test").await;
    assert_eq!(other.serving_certificate(&fixture.namespace, NAME).await.unwrap(), Some(now));
}
