//! The operator's image as a node of a test pulls it: what `Containerfile` makes, of the binary of this build. How images are made and pushed is the
//! harness's.

use std::path::Path;

use anyhow::{Context as _, Result};
use banhbaoring_testing::node::Image;
use banhbaoring_testing::tools::workspace_root;

use crate::Banhbaoring;

/// Where programs look for authorities that they trust.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The image. `authorities`, in PEM, are all that it trusts.
///
/// # Errors
/// The binary is not built, or a library that it needs is not there.
pub fn operator_image(authorities: &str) -> Result<Image> {
    let program = Banhbaoring::find()?.path();
    let recipe = Recipe::read(&workspace_root().join("Containerfile"))?;
    let entrypoint: Vec<&str> = recipe.entrypoint.iter().map(String::as_str).collect();
    let place = recipe.entrypoint.first().context("an ENTRYPOINT with a program in the Containerfile")?;
    // The published binary is static; one of the profile that tests are built in brings its libraries along.
    Ok(Image::new(&entrypoint).linked_program(place, &program)?.text(AUTHORITIES, authorities).user(&recipe.user))
}

/// What the published image says of itself. It is read and not repeated, so that a chart that works with one works with the other.
struct Recipe {
    user: String,
    entrypoint: Vec<String>,
}

impl Recipe {
    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let last = |word: &str| {
            let found = text.lines().filter_map(|line| line.strip_prefix(word)).next_back();
            found.map(str::trim).with_context(|| format!("expected a line `{word}…` in {}", file.display()))
        };
        let entrypoint = last("ENTRYPOINT ")?;
        let entrypoint =
            serde_json::from_str(entrypoint).with_context(|| format!("expected a JSON list, found ENTRYPOINT {entrypoint}"))?;
        Ok(Self { user: last("USER ")?.to_owned(), entrypoint })
    }
}
