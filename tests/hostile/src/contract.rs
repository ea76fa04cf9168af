//! The contract as `wit-parser` reads it, and components that are encoded against it.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, Type, TypeId};

const TYPES: &str = include_str!("../../../wit/v0.1/types.wit");
const PLUGIN: &str = include_str!("../../../wit/v0.1/plugin.wit");

/// The contract under some version number.
pub(crate) struct Contract {
    pub(crate) resolve: Resolve,
    package: PackageId,
    version: String,
}

impl Contract {
    /// The contract as published.
    pub(crate) fn published() -> Self {
        Self::versioned("0.1.0")
    }

    /// The same text under another version.
    pub(crate) fn versioned(version: &str) -> Self {
        let package = "package banhbaoring:plugin@0.1.0;";
        let text = format!("{}\n{}", PLUGIN, TYPES.replace(package, ""));
        let mut resolve = Resolve::default();
        let package = resolve.push_str("contract.wit", &text.replace("plugin@0.1.0", &format!("plugin@{version}"))).unwrap();
        Self { resolve, package, version: version.to_owned() }
    }

    /// Name of the core export behind a function of the contract.
    pub(crate) fn export(&self, interface: &str, function: &str) -> String {
        format!("banhbaoring:plugin/{interface}@{}#{function}", self.version)
    }

    /// A type of the interface `types`.
    pub(crate) fn ty(&self, name: &str) -> Type {
        Type::Id(self.type_id(name))
    }

    pub(crate) fn type_id(&self, name: &str) -> TypeId {
        let types = self.resolve.packages[self.package].interfaces["types"];
        self.resolve.interfaces[types].types[name]
    }

    /// Encodes a core module as a component of a world that includes the named ones of the contract; `more` is WIT of further items.
    pub(crate) fn encode(mut self, module: &str, worlds: &[&str], more: &str) -> Vec<u8> {
        if more.contains("wasi:") {
            let wasi = "package wasi:clocks@0.2.0; interface wall-clock { now: func() -> u64; } world all { import wall-clock; }";
            self.resolve.push_str("wasi.wit", wasi).unwrap();
        }
        let includes: String = worlds.iter().map(|world| format!("include banhbaoring:plugin/{world}@{};\n", self.version)).collect();
        let world = format!("package tests:hostile; world guest {{ {includes} {more} }}");
        let package = self.resolve.push_str("guest.wit", &world).unwrap();
        let world = self.resolve.select_world(&[package], None).unwrap();
        let mut bytes = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}"));
        embed_component_metadata(&mut bytes, &self.resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().validate(true).module(&bytes).unwrap().encode().unwrap()
    }
}
