//! `deploy/crd/`: the CustomResourceDefinition, from the types that the controller reads with.

use ageseal::api::sealed_secrets_crd;
use anyhow::{Context, Result};

const HEAD: &str = "\
# Written by `cargo xtask generate` from src/api. What is edited here by hand is lost.
#
# Deleting this deletes every SealedSecret of the cluster and, by ownership, the Secrets that were made of them.
";

/// Makes the manifest.
pub fn manifest() -> Result<String> {
    // Through a value, so that the fields of every object are in the order of their names.
    let crd = serde_json::to_value(sealed_secrets_crd())?;
    // A line as long as a line of code, for texts that are folded.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 110 };
    let text = serde_saphyr::to_string_with_options(&crd, options).context("the definition as YAML")?;
    Ok(format!("{HEAD}{}\n", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::run::root;

    #[test]
    fn the_file_is_up_to_date_and_is_what_the_types_say() {
        let written = std::fs::read_to_string(root().join("deploy/crd/ageseal.dev_sealedsecrets.yaml")).unwrap();
        assert!(written == manifest().unwrap(), "cargo xtask generate");
        let read: Value = serde_saphyr::from_str(&written).unwrap();
        assert_eq!(read, serde_json::to_value(sealed_secrets_crd()).unwrap());
    }
}
