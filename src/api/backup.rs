//! The encrypted backup of an identity, as a ConfigMap.

use k8s_openapi::api::core::v1::ConfigMap;

use super::{BACKUP_KEY, BACKUP_PREFIX, LABEL_BACKUP};
use crate::envelope::inspect;
use crate::recipient::RecipientId;

/// Whose identity a ConfigMap is the backup of: its name and its label say so, and what is in it is an age file.
///
/// For whom that file was encrypted cannot be told: the header names the kinds of the recipients alone.
pub fn backup_of(map: &ConfigMap) -> Option<RecipientId> {
    let id: RecipientId = map.metadata.name.as_deref()?.strip_prefix(BACKUP_PREFIX)?.parse().ok()?;
    let labelled = map.metadata.labels.as_ref()?.get(LABEL_BACKUP)? == &id.to_string();
    let is_age = inspect(map.data.as_ref()?.get(BACKUP_KEY)?).is_ok();
    (labelled && is_age).then_some(id)
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectMeta;

    use super::*;
    use crate::envelope::encrypt;
    use crate::recipient::Identity;

    #[test]
    fn a_backup_is_an_age_file_under_the_name_and_the_label_of_its_identity() {
        let keeper = Identity::generate_x25519();
        let age = encrypt(&[keeper.recipient().unwrap()], b"a").unwrap();
        let id = RecipientId::of("a");
        let map = |name: String, label: String, text: &str| ConfigMap {
            metadata: ObjectMeta {
                name: Some(name),
                labels: Some([(LABEL_BACKUP.to_owned(), label)].into()),
                ..ObjectMeta::default()
            },
            data: Some([(BACKUP_KEY.to_owned(), text.to_owned())].into()),
            ..ConfigMap::default()
        };
        let (name, other) = (format!("{BACKUP_PREFIX}{id}"), RecipientId::of("b").to_string());
        assert_eq!(backup_of(&map(name.clone(), id.to_string(), &age)), Some(id));
        for (name, label, text) in [
            (name.clone(), other, age.as_str()),
            ("other".to_owned(), id.to_string(), &age),
            (name.clone(), id.to_string(), "-----BEGIN AGE ENCRYPTED FILE-----\nnonsense\n"),
            (name.clone(), id.to_string(), &age[..age.len() / 2]),
        ] {
            assert_eq!(backup_of(&map(name, label, text)), None);
        }
        assert_eq!(backup_of(&ConfigMap::default()), None);
    }
}
