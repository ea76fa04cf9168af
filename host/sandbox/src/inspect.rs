//! What a component's bytes say of it before anything is compiled: its imports, its exports and the contract version that it speaks.
//! Derived from the bytes themselves and from nothing that somebody wrote about them.

use wasmparser::{Encoding, Parser, Payload};

use crate::load::LoadError;
use crate::version::{ContractVersion, METADATA_PREFIX};

/// Names are shown in conditions: no more than these.
const SHOWN: usize = 8;

/// A component that imports nothing and speaks a known version of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// Names of its exports, in the order of the component.
    pub(crate) exports: Vec<String>,
    pub(crate) version: ContractVersion,
}

pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspected, LoadError> {
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| LoadError::invalid(&e))? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(LoadError::NotAComponent),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(|e| LoadError::invalid(&e))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(|e| LoadError::invalid(&e))?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if !imports.is_empty() {
        return Err(LoadError::ForbiddenImports { imports: shown(&imports), count: imports.len() });
    }
    let metadata: Vec<&String> = exports.iter().filter(|name| name.starts_with(METADATA_PREFIX)).collect();
    let version = match metadata.as_slice() {
        [] => return Err(LoadError::MissingMetadata { exports: shown(&exports) }),
        [name] => ContractVersion::of_metadata(name)
            .ok_or_else(|| LoadError::UnsupportedContract { found: (*name).clone(), supported: ContractVersion::supported() })?,
        _ => return Err(LoadError::Invalid { detail: "it exports metadata of several contract versions".to_owned() }),
    };
    Ok(Inspected { exports, version })
}

fn shown(names: &[String]) -> String {
    let mut text = names.iter().take(SHOWN).map(|n| crate::error::excerpt(n)).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
