//! From a core module, as rustc makes it, to a component; and what a component imports.

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

/// Makes a component of a core module that carries its world in a custom section, as `wit-bindgen` writes it. The component is validated.
///
/// # Errors
/// When the module has no world, or imports or lacks what its world does not say.
pub(crate) fn encode(core: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(core)
        .context("expected a core module that says which world it is for; is it a cdylib that exports a world of wit/?")?
        .encode()
        .context("the core module does not fit its world")
}

/// What the component imports, by name; a plugin imports nothing.
///
/// # Errors
/// When the bytes are not a component.
pub(crate) fn imports(component: &[u8]) -> Result<Vec<String>> {
    let (resolve, world) = world(component)?;
    let world = resolve.worlds.get(world).context("a decoded component has a world")?;
    Ok(world.imports.keys().map(|key| resolve.name_world_key(key)).collect())
}

fn world(component: &[u8]) -> Result<(wit_parser::Resolve, wit_parser::WorldId)> {
    match wit_component::decode(component).context("expected a component")? {
        DecodedWasm::Component(resolve, world) => Ok((resolve, world)),
        DecodedWasm::WitPackage(..) => bail!("expected a component, found a package of WIT text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_world_becomes_an_empty_component() {
        let core = wat::parse_str("(module)").expect("a module");
        let component = encode(&core).expect("encoded");
        assert!(imports(&component).expect("a component").is_empty());
    }

    #[test]
    fn a_module_that_imports_what_no_world_declares_is_refused() {
        let core = wat::parse_str(r#"(module (import "env" "clock" (func)))"#).expect("a module");
        encode(&core).expect_err("nobody provides env.clock");
    }

    #[test]
    fn the_imports_of_a_component_are_named() {
        let component = wat::parse_str(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#).expect("a component");
        assert_eq!(imports(&component).expect("decoded"), ["wasi:clocks/wall-clock@0.2.0"]);
    }
}
