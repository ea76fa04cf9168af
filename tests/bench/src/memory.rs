//! What plugins cost in memory: in the operator's process, and one by one in this one.

use std::path::Path;

use anyhow::Result;
use banhbaoring_sandbox::{CacheKey, CallLimits, CodeCache, EngineSettings, Sandbox};
use banhbaoring_testing::guests;
use banhbaoring_testing::scratch::Scratch;
use banhbaoring_tests::FIRST_PARTY;

use crate::fleet::Fleet;
use crate::machine::{Reading, as_mebibytes};
use crate::report::{Row, Section};
use crate::world::component;

/// Beside the first-party ones.
const MORE: [&str; 2] = ["hello", "stack"];
/// Plugins that an operator is expected to have.
const PLUGINS: usize = 20;
/// Most that so many may add to an idle operator, in MiB.
const ADDED: f64 = 30.0;
/// Most that a further one may cost, in MiB.
const FURTHER: f64 = 1.0;

/// The operator without owners.
pub(crate) async fn operator(section: &mut Section) -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.operate().await?;
    let empty = fleet.at_rest().await?;
    section.rows.push(Row::told("without plugins", empty.told()));

    for plugin in FIRST_PARTY {
        fleet.add(plugin, &guests::component(plugin)?).await?;
    }
    fleet.until_plugins_serve().await?;
    let added = |now: &Reading| as_mebibytes(now.resident) - as_mebibytes(empty.resident);
    let compiled = fleet.at_rest().await?;
    section.rows.push(Row::told("with six plugins that it compiled itself", compiled.told()).of(added(&compiled), " MiB more"));

    fleet.pause().await?;
    fleet.resume().await?;
    fleet.until_serving(FIRST_PARTY.len()).await?;
    let cached = fleet.at_rest().await?;
    section.rows.push(Row::told("with the same from its cache, after a restart", cached.told()).of(added(&cached), " MiB more"));

    for plugin in MORE {
        fleet.add(plugin, &guests::component(plugin)?).await?;
    }
    fleet.until_plugins_serve().await?;
    fleet.pause().await?;
    fleet.resume().await?;
    let plugins = FIRST_PARTY.len() + MORE.len();
    fleet.until_serving(plugins).await?;
    let all = fleet.at_rest().await?;
    let limit = ADDED * plugins as f64 / PLUGINS as f64;
    section.rows.push(Row::told(format!("with {plugins} from its cache, after a restart"), all.told()).at_most(
        added(&all),
        limit,
        " MiB more",
    ));
    Ok(())
}

/// Modules in this process, beside others.
pub(crate) fn modules() -> Result<Section> {
    let mut section = Section::new("Memory of one more plugin");
    let scratch = Scratch::new("code")?;
    let folder = scratch.path().join("compiled");
    let sandbox = Sandbox::new(EngineSettings::default(), Some(CodeCache::open(&folder, CacheKey::new([7; 32]))?))?;
    for name in ["openbao", "unseal-awskms", "hello"] {
        let component = component(name)?;
        let stored = kibibytes_in(&folder)?;
        // Compiled, then loaded once from the cache: what that costs for good is not a further plugin's.
        let mut kept = vec![sandbox.load(&component, CallLimits::default())?, sandbox.load(&component, CallLimits::default())?];
        let code = kibibytes_in(&folder)? - stored;
        let before = Reading::of(std::process::id())?;
        for _ in 0..PLUGINS {
            kept.push(sandbox.load(&component, CallLimits::default())?);
        }
        let after = Reading::of(std::process::id())?;
        let each = (as_mebibytes(after.resident) - as_mebibytes(before.resident)) / PLUGINS as f64;
        let size = std::fs::metadata(guests::component(name)?)?.len() >> 10;
        let row = Row::told(format!("a further {name}"), format!("{size} KiB of WebAssembly, {code} KiB of compiled code"));
        section.rows.push(row.at_most(each, FURTHER, " MiB"));
    }
    Ok(section)
}

fn kibibytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes >> 10)
}
