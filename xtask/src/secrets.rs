//! Secrets as the Kubernetes API would store them, read with another parser than ageseal's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use yaml_rust2::{Yaml, YamlLoader};

/// The values of every Secret by `namespace/name`, then by data key. The namespace may be left open: `/name`.
pub type Secrets = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Reads the Secrets in all files below a folder whose names say that they hold plaintext.
pub fn below(folder: &Path) -> Result<Secrets> {
    let mut all = Secrets::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name.contains(".secret.") {
            let text = fs::read_to_string(entry.path())?;
            read(&text, &mut all).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(all)
}

/// Adds the Secrets of a text.
pub fn read(text: &str, all: &mut Secrets) -> Result<()> {
    YamlLoader::load_from_str(text)?.iter().try_for_each(|document| add(document, all))
}

/// Adds a Secret, or the Secrets of a List.
fn add(object: &Yaml, all: &mut Secrets) -> Result<()> {
    match object["kind"].as_str() {
        Some("Secret") => {
            let (namespace, name) = (&object["metadata"]["namespace"], &object["metadata"]["name"]);
            let (namespace, Some(name)) = (namespace.as_str().unwrap_or_default(), name.as_str()) else {
                bail!("a Secret without a name");
            };
            let twice = all.insert(format!("{namespace}/{name}"), values(object)?);
            ensure!(twice.is_none(), "{namespace}/{name} is there twice");
            Ok(())
        }
        Some("List") => object["items"].as_vec().into_iter().flatten().try_for_each(|item| add(item, all)),
        _ => Ok(()),
    }
}

/// `data` decoded, and `stringData` over it.
fn values(secret: &Yaml) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut values = BTreeMap::new();
    for (field, encoded) in [("data", true), ("stringData", false)] {
        let Some(map) = secret[field].as_hash() else { continue };
        for (key, value) in map {
            let (Some(key), Some(value)) = (key.as_str(), value.as_str()) else {
                bail!("an entry of {field} that is not text");
            };
            // Base64 may be broken into lines; Kubernetes skips the breaks.
            let decoded = || STANDARD.decode(value.replace(['\r', '\n'], ""));
            let bytes = if encoded { decoded()? } else { value.as_bytes().to_vec() };
            values.insert(key.to_owned(), bytes);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_data_goes_over_data_and_lists_are_opened() {
        let text = "kind: Secret\nmetadata: {name: a, namespace: n}\ndata: {x: YQ==, y: Yg==}\nstringData: {y: c}\n---\n\
                    kind: Service\n";
        let mut all = Secrets::new();
        read(text, &mut all).unwrap();
        let expected = BTreeMap::from([("x".to_owned(), b"a".to_vec()), ("y".to_owned(), b"c".to_vec())]);
        assert_eq!(all, Secrets::from([("n/a".to_owned(), expected.clone())]));
        let list = text.replace("n}", "m}").split("---").next().unwrap().replace('\n', "\n  ");
        read(&format!("kind: List\nitems:\n- {list}"), &mut all).unwrap();
        assert_eq!(all.get("m/a"), Some(&expected));
    }
}
