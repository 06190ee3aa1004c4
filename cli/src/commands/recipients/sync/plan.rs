//! What the recipients file of a name becomes: a comparison of what is there with what a cluster publishes.

use std::collections::BTreeSet;

use ageseal::api::{Published, PublishedRecipient};
use ageseal::policy::{Date, ParseRecipient, RecipientsFile};
use ageseal::problem::Problem;
use ageseal::recipient::{Recipient, RecipientId, RecipientKind};

use crate::commands::recipients::Text;
use crate::error::{CliError, Errors};
use crate::pins::Pin;

/// What becomes of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It is the cluster's current one, and new here.
    Added,
    /// It is the cluster's current one again: it stood here as superseded.
    Again,
    /// It is the cluster's current one, and stands here as that.
    Kept,
    /// It is an older one, and is marked now; `new` if it was not here at all.
    Superseded { until: Date, new: bool },
    /// It is an older one, and is marked already.
    Old { until: Date },
    /// It came from the cluster, which publishes it no more.
    Removed,
    /// It never came from the cluster: it stays.
    Left { superseded: Option<Date> },
}

/// One recipient, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) id: RecipientId,
    pub(super) kind: RecipientKind,
    pub(super) what: What,
    /// When the cluster made it current, as a day.
    pub(super) since: Option<Date>,
    /// Whether the cluster means to remove its identity.
    pub(super) retired: bool,
}

/// The steps, and the file's text after them.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) text: Vec<u8>,
}

/// Why there is no plan.
#[derive(Debug)]
pub(super) enum PlanError {
    /// The recipients file cannot be changed like this.
    File(Vec<Problem>),
    /// What was published has no recipient where one belongs, which was looked at before.
    Published(String),
}

impl PlanError {
    pub(super) fn told(self, file: &Text) -> Errors {
        match self {
            Self::File(problems) => file.problems(&problems),
            Self::Published(id) => CliError::input(format!("the cluster publishes {id}, which is no recipient")).into(),
        }
    }
}

impl Plan {
    /// Compares. `pin` tells which recipients of the file came from the cluster.
    pub(super) fn new(
        file: &RecipientsFile,
        bytes: &[u8],
        pin: Option<&Pin>,
        published: &Published,
        until: Date,
        parse: &ParseRecipient<'_>,
    ) -> Result<Self, PlanError> {
        let mut steps = vec![];
        let mut seen = BTreeSet::new();
        let mut edits = Edits { name: file.name().to_owned(), text: bytes.to_vec(), parse };
        for (index, entry) in published.all().enumerate() {
            let recipient = entry.recipient.parse::<Recipient>().map_err(|_| PlanError::Published(entry.id.clone()))?;
            let id = recipient.id();
            if !seen.insert(id) {
                continue;
            }
            let there = file.find(id).map(|entry| entry.superseded);
            let what = match (index == 0, there) {
                (true, None) => What::Added,
                (true, Some(None)) => What::Kept,
                (true, Some(Some(_))) => What::Again,
                (false, None) => What::Superseded { until, new: true },
                (false, Some(None)) => What::Superseded { until, new: false },
                (false, Some(Some(until))) => What::Old { until },
            };
            edits.apply(what, &recipient, entry)?;
            steps.push(Step { id, kind: recipient.kind(), what, since: day(&entry.since), retired: entry.retired });
        }
        for entry in file.entries().iter().filter(|entry| !seen.contains(&entry.recipient.id())) {
            let id = entry.recipient.id();
            let ours = pin.is_some_and(|pin| pin.recipients.contains(&id));
            let what = if ours { What::Removed } else { What::Left { superseded: entry.superseded } };
            if ours {
                edits.remove(id)?;
            }
            steps.push(Step { id, kind: entry.recipient.kind(), what, since: None, retired: false });
        }
        Ok(Self { steps, text: edits.text })
    }

    /// Whether the file changes.
    pub(super) fn changes(&self) -> bool {
        self.steps.iter().any(|step| !matches!(step.what, What::Kept | What::Old { .. } | What::Left { .. }))
    }
}

/// The file's text as it changes, one recipient at a time.
struct Edits<'a> {
    name: String,
    text: Vec<u8>,
    parse: &'a ParseRecipient<'a>,
}

impl Edits<'_> {
    fn apply(&mut self, what: What, recipient: &Recipient, entry: &PublishedRecipient) -> Result<(), PlanError> {
        match what {
            What::Kept | What::Old { .. } | What::Left { .. } => {}
            What::Removed => self.remove(recipient.id())?,
            What::Added => self.add(recipient, entry)?,
            What::Again => {
                self.remove(recipient.id())?;
                self.add(recipient, entry)?;
            }
            What::Superseded { until, new } => {
                if new {
                    self.add(recipient, entry)?;
                }
                let text = RecipientsFile::supersede(&self.name, &self.text, recipient.id(), until, self.parse);
                self.text = text.map_err(PlanError::File)?.into_bytes();
            }
        }
        Ok(())
    }

    fn add(&mut self, recipient: &Recipient, entry: &PublishedRecipient) -> Result<(), PlanError> {
        // The date alone: whatever else stands in that text is somebody else's.
        let comment = day(&entry.since).map(|day| format!("since {day}"));
        let text = RecipientsFile::add(&self.name, &self.text, recipient, comment.as_deref(), self.parse);
        self.text = text.map_err(PlanError::File)?.into_bytes();
        Ok(())
    }

    fn remove(&mut self, id: RecipientId) -> Result<(), PlanError> {
        let text = RecipientsFile::remove(&self.name, &self.text, id, self.parse);
        self.text = text.map_err(PlanError::File)?.into_bytes();
        Ok(())
    }
}

fn day(since: &str) -> Option<Date> {
    since.get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use ageseal::policy::Refusal;
    use ageseal::recipient::Identity;

    use super::*;

    fn recipient() -> Recipient {
        Identity::generate_x25519().recipient().unwrap().canonical().parse().unwrap()
    }

    fn published(serial: u64, all: &[&Recipient]) -> Published {
        let mut all = all.iter().map(|recipient| PublishedRecipient::of(recipient, "2026-11-18T10:00:00Z".to_owned()));
        Published { serial, current: all.next().unwrap(), older: all.collect() }
    }

    fn pin(all: &[&Recipient]) -> Pin {
        let recipients: Vec<_> = all.iter().map(|recipient| recipient.id()).collect();
        Pin {
            namespace: "a".to_owned(),
            uid: None,
            address: None,
            certificates: vec![],
            serial: 1,
            current: recipients[0],
            recipients,
        }
    }

    fn plan(bytes: &str, pin: Option<&Pin>, published: &Published) -> (Vec<What>, String) {
        let parse = |text: &str| Ok::<_, Refusal>(text.parse::<Recipient>()?);
        let file = RecipientsFile::parse("prod", bytes.as_bytes(), &parse).unwrap();
        let until = "2027-02-16".parse().unwrap();
        let plan = Plan::new(&file, bytes.as_bytes(), pin, published, until, &parse).unwrap();
        let text = String::from_utf8(plan.text.clone()).unwrap();
        assert_eq!(plan.changes(), text != bytes);
        (plan.steps.into_iter().map(|step| step.what).collect(), text)
    }

    #[test]
    fn a_first_sync_writes_the_current_one_and_names_the_older() {
        let (one, two) = (recipient(), recipient());
        let until = "2027-02-16".parse().unwrap();
        let (what, text) = plan("", None, &published(2, &[&two, &one]));
        assert_eq!(what, [What::Added, What::Superseded { until, new: true }]);
        let marked = format!("# since 2026-11-18\n# superseded, until 2027-02-16\n{one}\n");
        assert_eq!(text, format!("# since 2026-11-18\n{two}\n{marked}"));
        let again = plan(&text, Some(&pin(&[&two, &one])), &published(2, &[&two, &one]));
        assert_eq!(again, (vec![What::Kept, What::Old { until }], text));
    }

    #[test]
    fn a_renewal_marks_the_old_one_and_keeps_its_comment_and_its_day() {
        let (one, two, ann) = (recipient(), recipient(), recipient());
        let until = "2027-02-16".parse().unwrap();
        let before = format!("# Ann's laptop\n{ann}\n\n# since 2026-01-01\n{one}\n");
        let (what, text) = plan(&before, Some(&pin(&[&one])), &published(2, &[&two, &one]));
        assert_eq!(what, [What::Added, What::Superseded { until, new: false }, What::Left { superseded: None }]);
        assert_eq!(
            text,
            format!(
                "# Ann's laptop\n{ann}\n\n# since 2026-01-01\n# superseded, until 2027-02-16\n{one}\n# since 2026-11-18\n{two}\n"
            )
        );
        // The cluster went back to the first: the day goes, and the second gets one.
        let (what, text) = plan(&text, Some(&pin(&[&two, &one])), &published(3, &[&one, &two]));
        assert_eq!(what[..2], [What::Again, What::Superseded { until, new: false }]);
        assert_eq!(
            text,
            format!(
                "# Ann's laptop\n{ann}\n\n# since 2026-11-18\n# superseded, until 2027-02-16\n{two}\n# since 2026-11-18\n{one}\n"
            )
        );
    }

    #[test]
    fn only_what_came_from_the_cluster_goes_with_it() {
        let (one, two, ann) = (recipient(), recipient(), recipient());
        let before = format!("{ann}\n# superseded, until 2026-12-01\n{one}\n{two}\n");
        let (what, text) = plan(&before, Some(&pin(&[&two, &one])), &published(2, &[&two]));
        assert_eq!(what, [What::Kept, What::Left { superseded: None }, What::Removed]);
        assert_eq!(text, format!("{ann}\n{two}\n"));
        // Without a pin nobody knows whose it was.
        let (what, text) = plan(&before, None, &published(2, &[&two]));
        let superseded = Some("2026-12-01".parse().unwrap());
        assert_eq!(what, [What::Kept, What::Left { superseded: None }, What::Left { superseded }]);
        assert_eq!(text, before);
    }

    #[test]
    fn of_what_the_cluster_says_about_a_time_only_a_day_is_written() {
        let one = recipient();
        let mut said = published(1, &[&one]);
        said.current.since = "superseded\nage1evil".to_owned();
        assert_eq!(plan("", None, &said).1, format!("{one}\n"));
    }
}
