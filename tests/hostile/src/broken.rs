//! Components that go wrong before any function of theirs is called: when they are looked at, compiled, linked or instantiated.

use crate::contract::Contract;
use crate::puppet::{Puppet, Tampering};

/// A component that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// No WebAssembly at all.
    Garbage,
    /// A core module instead of a component.
    CoreModule,
    /// It imports a WASI interface.
    ImportsWasi,
    /// It speaks the contract under another version.
    OtherContract(&'static str),
    /// It exports a component but no metadata.
    WithoutMetadata,
    /// It exports the metadata alone.
    MetadataOnly,
    /// Its descriptor has another type than the contract's.
    OtherType,
    /// `describe` does not return.
    DescribeLoops,
    /// Its instance never comes to be: the start function does not return.
    StartLoops,
    /// The start function takes all memory that there is.
    StartBomb,
    /// It starts with 2 GiB of memory.
    HugeMemory,
    /// It starts with a table of ten million elements.
    HugeTable,
    /// It makes so many instances, each with its own 16 MiB.
    ManyInstances(u8),
}

impl Broken {
    /// The component's bytes.
    pub fn component(self) -> Vec<u8> {
        let contract = match self {
            Self::OtherContract(version) => Contract::versioned(version),
            Self::OtherType => return other_type(),
            _ => Contract::published(),
        };
        let loops = "(func $start (loop $for_ever (br $for_ever))) (start $start)";
        let bomb = "(func $start (loop $more (drop (memory.grow (i32.const 64))) (br $more))) (start $start)";
        let tampering = match self {
            Self::DescribeLoops => Tampering { describe: Some("(loop $for_ever (br $for_ever)) unreachable"), ..Tampering::default() },
            Self::StartLoops => Tampering { items: loops, ..Tampering::default() },
            Self::StartBomb => Tampering { items: bomb, ..Tampering::default() },
            Self::HugeMemory => Tampering { pages: 32_768, ..Tampering::default() },
            Self::HugeTable => Tampering { items: "(table 10000000 funcref)", ..Tampering::default() },
            Self::ManyInstances(_) => Tampering { pages: 256, ..Tampering::default() },
            _ => Tampering::default(),
        };
        let wasi = r#"(import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (result i64)))"#;
        let mut module = Puppet::default().module(&contract, &tampering);
        match self {
            Self::Garbage => b"#!/bin/sh\necho no plugin\n".to_vec(),
            Self::CoreModule => wat::parse_str(&module).unwrap(),
            Self::ImportsWasi => {
                // Imports come first in a module, and an import that is never called is no import of the component.
                module = module.replacen("(module", &format!("(module {wasi} (func (export \"tick\") (drop (call $now)))"), 1);
                contract.encode(&module, &["component-plugin"], "import wasi:clocks/wall-clock@0.2.0;\nexport tick: func();")
            }
            Self::WithoutMetadata => {
                contract.encode(&module, &[], "export banhbaoring:plugin/types@0.1.0;\nexport banhbaoring:plugin/component@0.1.0;")
            }
            Self::MetadataOnly => contract.encode(&module, &["descriptive"], ""),
            Self::ManyInstances(count) => {
                let mut bytes = contract.encode(&module, &["component-plugin"], "");
                // One more section of core instances: the component's first module, again and again, without arguments.
                bytes.extend([2, 1 + 3 * count, count]);
                bytes.extend([0, 0, 0].repeat(usize::from(count)));
                bytes
            }
            _ => contract.encode(&module, &["component-plugin"], ""),
        }
    }
}

/// Metadata of the right name whose descriptor is a number.
fn other_type() -> Vec<u8> {
    let component = r#"(component
      (core module $m (func (export "describe") (result i32) i32.const 7))
      (core instance $i (instantiate $m))
      (func $describe (result u32) (canon lift (core func $i "describe")))
      (instance $metadata (export "describe" (func $describe)))
      (export "banhbaoring:plugin/metadata@0.1.0" (instance $metadata)))"#;
    wat::parse_str(component).unwrap()
}
