//! Components that are refused when they are loaded, or fail before their first answer.

use std::sync::Mutex;

use banhbaoring_hostile::{Broken, Puppet};
use banhbaoring_sandbox::{CallLimits, LoadError, Sandbox, TrustedComponent};

use crate::{POOLING, sandboxes};

/// The reason why it cannot be loaded, or else why it cannot be asked what it is.
fn reason(sandbox: &Sandbox, broken: Broken) -> String {
    match sandbox.load(&TrustedComponent::local_file(broken.component()), crate::patient()) {
        Err(error) => error.reason().to_owned(),
        Ok(module) => module.describe().expect_err("a broken component").reason().to_owned(),
    }
}

#[test]
fn what_is_no_plugin_is_refused_for_what_it_is() {
    for (broken, expected) in [
        (Broken::Garbage, "InvalidComponent"),
        (Broken::CoreModule, "NotAComponent"),
        (Broken::ImportsWasi, "ForbiddenImports"),
        (Broken::OtherContract("0.2.0"), "UnsupportedContract"),
        (Broken::OtherContract("1.0.0"), "UnsupportedContract"),
        (Broken::WithoutMetadata, "MissingMetadata"),
        (Broken::OtherType, "WrongInterfaceType"),
    ] {
        for sandbox in sandboxes() {
            assert_eq!(reason(sandbox, broken), expected, "{broken:?}");
        }
    }
}

#[test]
fn forbidden_imports_are_named() {
    let component = TrustedComponent::local_file(Broken::ImportsWasi.component());
    let error = POOLING.load(&component, CallLimits::default()).unwrap_err();
    let LoadError::ForbiddenImports { imports, count } = &error else { panic!("{error}") };
    assert_eq!((imports.as_str(), *count), ("wasi:clocks/wall-clock@0.2.0", 1));
}

#[test]
fn a_later_patch_of_a_known_contract_version_is_served() {
    let component = TrustedComponent::local_file(Broken::OtherContract("0.1.9").component());
    for sandbox in sandboxes() {
        let module = sandbox.load(&component, CallLimits::default()).unwrap();
        assert_eq!(module.describe().unwrap().name, "puppet");
        assert!(module.reconcile(&crate::behaving("none")).unwrap().is_ok());
    }
}

#[test]
fn an_interface_that_is_not_exported_is_said_to_be_missing() {
    let module = crate::load(&POOLING, Broken::MetadataOnly.component(), CallLimits::default());
    assert_eq!(module.describe().unwrap().name, "puppet");
    assert_eq!(module.reconcile(&crate::behaving("none")).unwrap_err().reason(), "MissingInterface");
}

#[test]
fn an_instance_that_never_comes_to_be_is_under_the_same_limits() {
    for (broken, expected) in
        [(Broken::DescribeLoops, "CpuLimitExceeded"), (Broken::StartLoops, "CpuLimitExceeded"), (Broken::StartBomb, "MemoryLimitExceeded")]
    {
        for sandbox in sandboxes() {
            assert_eq!(reason(sandbox, broken), expected, "{broken:?}");
        }
    }
}

#[test]
fn an_instance_that_is_too_large_from_the_start_is_refused() {
    for broken in [Broken::HugeMemory, Broken::HugeTable, Broken::ManyInstances(4), Broken::ManyInstances(40)] {
        for sandbox in sandboxes() {
            let reason = reason(sandbox, broken);
            let refused = ["MemoryLimitExceeded", "InstanceTooLarge", "InvalidComponent"].contains(&reason.as_str());
            assert!(refused, "{broken:?} on {:?}: {reason}", sandbox.allocation());
        }
    }
}

#[test]
fn components_cut_or_changed_anywhere_are_refused_or_served_but_never_more() {
    let whole = Puppet::default().component();
    for cut in (0..whole.len()).step_by(whole.len() / 40) {
        let component = TrustedComponent::local_file(&whole[..cut]);
        assert!(POOLING.load(&component, CallLimits::default()).is_err(), "{cut} bytes of {}", whole.len());
    }
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut changed = whole.clone();
        changed[at] ^= 0x15;
        let limits = CallLimits { cpu: std::time::Duration::from_millis(20), ..CallLimits::default() };
        if let Ok(module) = POOLING.load(&TrustedComponent::local_file(changed), limits) {
            // Whatever it answers now: it answers, or fails by itself.
            let _ = module.describe();
            let _ = module.reconcile(&crate::behaving("none"));
        }
    }
}

#[test]
fn several_components_are_loaded_side_by_side_and_reported_each_by_itself() {
    let mut components: Vec<_> = (0..4)
        .map(|n| {
            let puppet = Puppet { name: format!("puppet-{n}"), ..Puppet::default() };
            (TrustedComponent::local_file(puppet.component()), CallLimits::default())
        })
        .collect();
    components.push((TrustedComponent::local_file(Broken::ImportsWasi.component()), CallLimits::default()));
    let found = Mutex::new(Vec::new());
    POOLING.load_all(&components, |index, loaded| {
        let name = loaded.map(|module| module.describe().unwrap().name).map_err(|error| error.reason());
        found.lock().unwrap().push((index, name));
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(index, _)| *index);
    let expected: Vec<_> = (0..4).map(|n| (n, Ok(format!("puppet-{n}")))).chain([(4, Err("ForbiddenImports"))]).collect();
    assert_eq!(found, expected);
}
