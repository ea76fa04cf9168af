use super::*;

#[test]
fn an_image_is_read_as_pods_read_it() {
    for (image, full) in [
        ("store", "docker.io/library/store:latest"),
        ("store:7", "docker.io/library/store:7"),
        ("team/store:2.4.0", "docker.io/team/store:2.4.0"),
        ("index.docker.io/team/store:2.4.0", "docker.io/team/store:2.4.0"),
        ("quay.io/team/store:2.4.0", "quay.io/team/store:2.4.0"),
        ("localhost/a", "localhost/a:latest"),
        ("10.0.0.1:5000/a/b:1", "10.0.0.1:5000/a/b:1"),
    ] {
        assert_eq!(Reference::from_image(image).unwrap().to_string(), full);
    }
    let pinned = format!("quay.io/a/b:1@sha256:{}", "0".repeat(64));
    assert!(matches!(Reference::from_image(&pinned).unwrap().selector, Selector::Digest(_)));
    for wrong in ["", "oci://quay.io/a:1", "https://quay.io/a", "Quay.io/a", "quay.io/A", "a/../b", "quay.io/a:b:c"] {
        assert!(Reference::from_image(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_reference_with_port_tag_and_digest_selects_the_digest() {
    let digest = Digest::of(b"x");
    let parsed: Reference = format!("oci://127.0.0.1:5000/team/plugin:1.2@{digest}").parse().unwrap();
    assert_eq!(parsed.repository.host(), "127.0.0.1:5000");
    assert_eq!(parsed.repository.path(), "team/plugin");
    assert_eq!(parsed.selector, Selector::Digest(digest));
    assert!(parsed.repository.is_loopback());
}

#[test]
fn a_reference_without_tag_means_latest() {
    let parsed: Reference = "oci://registry.example.com/a".parse().unwrap();
    assert_eq!(parsed.to_string(), "registry.example.com/a:latest");
    assert!(!parsed.repository.is_loopback());
}

#[test]
fn malformed_references_are_refused() {
    for bad in [
        "",
        "oci://",
        "oci://host",
        "oci://host/",
        "https://host/path",
        "oci://host/UPPER",
        "oci://host/a//b",
        "oci://host/a/../b",
        "oci://user@host/a",
        "oci://host:/a",
        "oci://ho st/a",
        "oci://host/a:",
        "oci://host/a:-x",
        "oci://host/a@sha256:123",
        "oci://host/a@sha512:00",
        "oci://host/a:b:c",
        "oci://host?x/a",
        "oci://host/a?b",
        "oci://[::1/a",
        "oci://host/.a",
    ] {
        assert!(bad.parse::<Reference>().is_err(), "{bad:?} was accepted");
    }
    assert!("x".repeat(5000).parse::<Reference>().is_err());
}

#[test]
fn a_registry_is_written_in_one_way() {
    for host in ["HOST", "ghcr.IO", "host.", "host:443", "host:0443", "127.1:5000", "0x7f.0.0.1", "[0:0::1]:5000", "index.docker.io"] {
        assert!(format!("oci://{host}/a").parse::<Repository>().is_err(), "{host}");
    }
}

#[test]
fn digests_with_upper_case_or_multibyte_text_are_refused() {
    for bad in [format!("sha256:{}", "A".repeat(64)), format!("sha256:{}", "é".repeat(32)), "sha256:".to_owned()] {
        assert!(bad.parse::<Digest>().is_err());
    }
}

#[test]
fn digest_wins_over_range_wins_over_tag_and_losers_are_checked_too() {
    let digest = Digest::of(b"").to_string();
    assert!(matches!(Selector::from_fields(Some(&digest), Some("1.x"), Some("a")), Ok(Selector::Digest(_))));
    assert!(matches!(Selector::from_fields(None, Some("1.x"), Some("a")), Ok(Selector::Range(_))));
    assert!(matches!(Selector::from_fields(None, None, Some("a")), Ok(Selector::Tag(_))));
    assert!(Selector::from_fields(Some(&digest), Some("nonsense"), None).is_err());
}
