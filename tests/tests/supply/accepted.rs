//! What is signed as it should be becomes active, whoever signed it and wherever the registry keeps signatures.

use banhbaoring_testing::cosign::Cosign;
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_tests::Banhbaoring;

use crate::case::{Case, trusting};
use crate::{both_registries, stage};

#[tokio::test]
async fn what_our_command_line_pushes_and_signs_is_active() {
    let (binary, scratch) = (Banhbaoring::find().unwrap(), Scratch::new("command-line").unwrap());
    let directory = scratch.path().display().to_string();
    let mut key = ["--generate-key".to_owned(), directory.clone()];
    for (kind, registry) in both_registries().await {
        let name = format!("signed-by-us-{kind}");
        let mut case = Case::on(stage().await, &name, &registry).await;
        let file = scratch.write("plugin.wasm", case.component("1.0.0")).unwrap().display().to_string();
        let target = format!("oci://{registry}/plugins/{name}:1.0.0");
        let printed = binary.succeed(&["plugin", "push", &file, &target, "--insecure"], &[]).await.unwrap();
        let digest = printed.trim().rsplit_once('@').unwrap().1.parse().unwrap();
        let sign = ["plugin", "sign", &target, "--insecure", &key[0], &key[1]];
        binary.succeed(&sign, &[("COSIGN_PASSWORD", "only for this test")]).await.unwrap();
        key = ["--key".to_owned(), format!("{directory}/cosign.key")];

        case.verify = trusting(&std::fs::read_to_string(scratch.path().join("cosign.pub")).unwrap());
        case.apply("1.0.0").await;
        let plugin = case.until_active(&digest).await;
        assert_eq!(plugin["status"]["active"]["verifiedBy"], "platform-team");
        let shown = stage().await.cluster.kubectl().unwrap().run(&["get", "plg", &name]).await.unwrap();
        assert!(["1.0.0", "True", "Active", "platform-team"].iter().all(|column| shown.contains(column)), "{shown}");
    }
}

#[tokio::test]
async fn a_bundle_by_the_real_cosign_3_is_active() {
    let cosign = Cosign::version3().await.unwrap();
    for (kind, registry) in both_registries().await {
        let mut case = Case::on(stage().await, &format!("cosign-3-{kind}"), &registry).await;
        let digest = case.push("1.0.0").await;
        cosign.sign_bundle(&case.repository.reference(&digest)).await.unwrap();
        case.verify = trusting(&cosign.public_key().unwrap());
        case.apply("1.0.0").await;
        case.until_active(&digest).await;
    }
}

#[tokio::test]
async fn a_sig_tag_by_the_real_cosign_2_is_active() {
    let cosign = Cosign::version2().await.unwrap();
    for (kind, registry) in both_registries().await {
        let mut case = Case::on(stage().await, &format!("cosign-2-{kind}"), &registry).await;
        let digest = case.push("1.0.0").await;
        cosign.sign_legacy(&case.repository.reference(&digest)).await.unwrap();
        case.verify = trusting(&cosign.public_key().unwrap());
        case.apply("1.0.0").await;
        case.until_active(&digest).await;
    }
}
